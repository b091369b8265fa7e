//! The browser's assets: bundled at build time, embedded, served under names that carry their
//! content's hash, and so kept by browsers for good.

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

struct Asset {
    stem: &'static str,
    name: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/dist/assets.rs"));

/// The address of the asset that was built from `src/STEM.*`.
pub fn address(stem: &str) -> String {
    ASSETS
        .iter()
        .find(|asset| asset.stem == stem)
        .map_or_else(String::new, |asset| format!("/assets/{}", asset.name))
}

/// Sum of the gzipped sizes of the named assets, in bytes.
pub fn gzipped_size(stems: &[&str]) -> usize {
    ASSETS.iter().filter(|asset| stems.contains(&asset.stem)).map(|asset| asset.gzip.len()).sum()
}

/// Serves `/assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let fixed = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    let gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim().starts_with("gzip")));
    if gzip {
        (fixed, [(header::CONTENT_ENCODING, "gzip")], Body::from(asset.gzip)).into_response()
    } else {
        (fixed, Body::from(asset.plain)).into_response()
    }
}
