use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::macros::record;
use crate::{AssetId, Extra};

record! {
    /// A file or image that a run generated.
    GeneratedArtifact {
        /// The id of the asset that stores the file.
        id: Option<AssetId>,
        /// The URL from which the file can be downloaded.
        file_url: Option<String>,
        /// The name of the file, including its extension.
        file_name: Option<String>,
        /// The media type of the file, such as `image/png`.
        file_type: Option<String>,
        /// The size of the file in bytes.
        file_size: Option<u64>,
        /// The kind of file, such as `image`.
        asset_type: Option<String>,
        /// The origin of the file, as stated by the service.
        origin: Option<String>,
        /// The id of the tool call that generated the file.
        tool_id: Option<String>,
        /// The name of the tool that generated the file.
        tool_name: Option<String>,
    }
}

/// The output of an image workflow.
///
/// The service sends an object with `settings` and `assets`. Older runs have a bare array of assets
/// instead; both forms are read. See the [contract](crate::contract#workflows).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ImageOutput {
    /// The settings that the images were generated with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// The images that the workflow generated.
    pub assets: Vec<GeneratedArtifact>,
    /// The fields of the JSON object that this version of the crate does not know.
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
