//! Temporary.
/// Plan.
#[derive(Clone, Copy, Debug)]
pub enum RatePlan {
    /// Free.
    Free,
}
impl RatePlan {
    /// Parse.
    pub fn parse(_: &str) -> Result<Self, &'static str> {
        Ok(Self::Free)
    }
}
