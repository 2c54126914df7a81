use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::macros::record;
use crate::{AssetId, Extra};

record! {
    /// A file that a run made (contract, sections 3 and 6).
    GeneratedArtifact {
        /// The asset behind it.
        id: Option<AssetId>,
        /// Where it can be downloaded.
        file_url: Option<String>,
        /// Its name.
        file_name: Option<String>,
        /// Its media type.
        file_type: Option<String>,
        /// Its size in bytes.
        file_size: Option<u64>,
        /// The kind of file, such as `image`.
        asset_type: Option<String>,
        /// Where it comes from.
        origin: Option<String>,
        /// The tool call that made it.
        tool_id: Option<String>,
        /// The tool that made it.
        tool_name: Option<String>,
    }
}

/// The output of an image workflow: `{settings, assets}`, or a bare array of assets as older runs have it (contract, section 3).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ImageOutput {
    /// The settings that the images were made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// The images.
    pub assets: Vec<GeneratedArtifact>,
    /// Fields that this version does not know, as they came.
    #[serde(flatten)]
    pub extra: Extra,
}

impl<'de> Deserialize<'de> for ImageOutput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            #[serde(default)]
            settings: Option<Value>,
            assets: Vec<GeneratedArtifact>,
            #[serde(flatten)]
            extra: Extra,
        }

        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an object with `assets`, or an array of assets")]
        enum Form {
            Bare(Vec<GeneratedArtifact>),
            Object(Object),
        }

        Ok(match Form::deserialize(deserializer)? {
            Form::Bare(assets) => Self { assets, ..Self::default() },
            Form::Object(Object { settings, assets, extra }) => Self { settings, assets, extra },
        })
    }
}
