use super::binaries::Binaries;
use super::report::{Row, Target};

/// Measures the verification of callback signatures.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let figures = binaries.run("verify", &[])?;
    let rate = |name: &str| figures.get(name, "wall_ns").map(|ns| 1e6 / ns);
    let bare = rate("hmac-sha256")?;
    let row = |title: &str, ours: f64, peer: f64| Row::new(title, ours, peer, " k/s", 1);
    Ok(vec![
        row("signatures of 4 KiB per second, vs a bare HMAC of the same crate", rate("signature")?, bare)
            .target(Target::AtLeast(0.9)),
        row("callbacks of 4 KiB verified and parsed per second, vs the same", rate("callback")?, bare),
        row("signatures of 4 KiB per second, vs ring's HMAC", rate("signature")?, rate("ring")?),
    ])
}
