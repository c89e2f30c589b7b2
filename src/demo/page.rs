//! placeholder
use super::forge::Forge;
use axum::Router;
/// Page
#[derive(Default)]
pub struct Page;
impl Page {
    pub fn router(self) -> Router<Forge> {
        Router::new()
    }
}
