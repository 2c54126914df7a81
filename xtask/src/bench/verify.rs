use super::binaries::Binaries;
use super::report::{Row, Target};

/// Measures the verification of callbacks: first the signature alone, then with the parsed event.
///
/// The peers are the HMAC-SHA256 of the crate that we use and that of ring.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let figures = binaries.run("verify", &[])?;
    let rate = |name: &str| figures.get(name, "wall_ns").map(|ns| 1e6 / ns);
    let bare = rate("hmac-sha256")?;
    let row = |ours: f64, peer: f64| Row::new("", ours, peer, " k/s", 1);
    let signature = row(rate("signature")?, bare).target(Target::AtLeast(0.9));
    let ring = row(rate("signature")?, rate("ring")?);
    let title = "callbacks of 4 KiB verified / verified and parsed per second, vs a bare HMAC of the same crate";
    Ok(vec![
        Row::merge(title, &[signature, row(rate("callback")?, bare)]),
        Row::merge("callbacks of 4 KiB verified per second, vs ring's HMAC", &[ring]),
    ])
}
