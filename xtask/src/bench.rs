//! stub
#[derive(clap::Args)]
pub struct Arguments {}
pub fn run(_: &crate::Checkout, _: &Arguments) -> Result<(), crate::failure::Failure> {
    Ok(())
}
