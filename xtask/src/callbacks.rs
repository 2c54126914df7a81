use crate::run::step;

/// The receivers and what drives them are examples of one package; they are built first, for one starts the other.
pub(crate) fn callbacks(arguments: &[String]) -> Result<(), String> {
    step("receivers", "build --release -p fetch-hive-receivers --examples", &[])?;
    let count = arguments.first().map_or("10000", String::as_str);
    let words = format!("run --release -p fetch-hive-receivers --example crash_test -- {count}");
    step("callbacks", &words, &[])
}
