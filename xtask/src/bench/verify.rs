use super::binaries::Binaries;
use super::report::{Row, Target};

/// Measures the verification of callbacks: first the signature alone, then with the parsed event.
///
/// The peers are a bare HMAC-SHA256 of ring, which the client uses, and of the crate that the core
/// uses without ring.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let figures = binaries.run("verify", &[])?;
    let rate = |name: &str| figures.get(name, "wall_ns").map(|ns| 1e6 / ns);
    let (signature, ring) = (rate("signature")?, rate("ring")?);
    let row = |ours: f64, peer: f64| Row::new("", ours, peer, " k/s", 1);
    let title = "callbacks of 4 KiB verified / verified and parsed per second, vs a bare HMAC of ring";
    let with_target = row(signature, ring).target(Target::AtLeast(0.9));
    Ok(vec![
        Row::merge(title, &[with_target, row(rate("callback")?, ring)]),
        Row::merge("callbacks of 4 KiB verified per second, vs `hmac-sha256`", &[row(signature, rate("hmac-sha256")?)]),
    ])
}
