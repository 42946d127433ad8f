//! Texts: what commands read and wrote, byte for byte.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a command read or wrote: bytes, which nearly always are UTF-8 text.
///
/// In JSON it is a string, or `{"base64": …}` where the bytes are no UTF-8. Nothing is replaced or dropped. A clone is the same in
/// memory: what a build prints of many rules is known in several places.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct Text(Arc<Vec<u8>>);

impl Text {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, with U+FFFD where they are no UTF-8: for showing, not for comparing.
    pub fn to_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The bytes as text in which no two bytes look alike: what is no UTF-8 stands as `<e9>`.
    pub fn exact(&self) -> std::borrow::Cow<'_, str> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return text.into();
        }
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                text.push_str(&format!("<{byte:02x}>"));
            }
        }
        text.into()
    }

    /// Where the bytes are in memory: of two texts at the same place, both of which are held, the bytes are the same.
    pub fn place(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether nothing was read or written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().to_vec().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Text(bytes.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_lossy(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Bytes {
                base64: base64::prelude::BASE64_STANDARD.encode(self.bytes()),
            }
            .serialize(serializer),
        }
    }
}

/// What is no UTF-8.
#[derive(Serialize, Deserialize)]
struct Bytes {
    base64: String,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Takes either form as it comes: texts are most of what agents send, and an untagged enum would copy each once more.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or {\"base64\": …}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Text, E> {
        Ok(text.into())
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Text, M::Error> {
        let Bytes { base64 } = Bytes::deserialize(MapAccessDeserializer::new(map))?;
        let bytes = base64::prelude::BASE64_STANDARD.decode(base64);
        bytes.map(Text::from).map_err(de::Error::custom)
    }
}
