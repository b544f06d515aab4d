//! What is odd about a request's head, in the words of an ALB: its classes and reason codes of desync mitigation
//! (`aws/http-desync-guardian`).

use config::model::DesyncMode;

/// How much two readers may differ about a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Not what the RFCs want, and no danger.
    Acceptable,
    /// Readers are known to differ.
    Ambiguous,
    /// It is an attack, or as good as one.
    Severe,
}

/// Why a head is not compliant; the least first within a class, and the classes in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Desync {
    /// A value with bytes that are not visible ASCII.
    NonCompliantHeader = 1,
    /// A space in the target.
    SpaceInUri,
    /// HTTP/0.9, or 1.2 to 1.9.
    NonCompliantVersion,
    /// GET or HEAD with `Content-Length: 0`.
    GetHeadZeroContentLength,
    /// A line that ends with LF alone.
    NonCrLfLineTermination,
    /// A header without a name.
    EmptyHeader,
    /// Control characters in the target, or bytes that are no UTF-8.
    AmbiguousUri,
    /// GET or HEAD with a body of a length.
    UndefinedContentLengthSemantics,
    /// GET or HEAD with `Transfer-Encoding`, or that header in HTTP/1.0.
    UndefinedTransferEncodingSemantics,
    /// `Content-Length` twice, with the same value.
    DuplicateContentLength,
    /// `Content-Length` and `Transfer-Encoding`.
    BothTeClPresent,
    /// A name that some server takes for one of these two.
    SuspiciousHeader,
    /// A line that continues the one before.
    MultilineHeader,
    /// A line without a colon.
    MissingHeaderColon,
    /// A request line without a target.
    MissingUri,
    /// A name or value that cannot be one; a `Host` that is missing, double, or no host.
    BadHeader,
    /// A target that cannot be one.
    BadUri,
    /// A version that is none, or that we do not speak.
    BadVersion,
    /// A method that cannot be one.
    BadMethod,
    /// `Content-Length` twice, with different values.
    MultipleContentLength,
    /// A `Content-Length` that is no number.
    BadContentLength,
    /// `Transfer-Encoding: chunked` twice.
    MultipleTransferEncodingChunked,
    /// A `Transfer-Encoding` other than `chunked`.
    BadTransferEncoding,
}

/// What was odd about a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The worst about it; `None` when it is compliant.
    pub desync: Option<Desync>,
    /// A header's name has other characters than letters, digits and `-`.
    pub invalid_header: bool,
}

/// What becomes of a request that can be served in one meaning only, once it is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Served like any other.
    Serve,
    /// Served, over a connection to the target that nothing else uses; the client's connection goes on.
    ServeAlone,
    /// As `ServeAlone`, and the client's connection ends with the answer.
    ServeAndClose,
    /// Answered 400.
    Refuse,
}

impl Class {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acceptable => "acceptable",
            Self::Ambiguous => "ambiguous",
            Self::Severe => "severe",
        }
    }

    /// The class as an ALB writes it.
    pub const fn as_alb(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }
}

impl Desync {
    /// Every reason.
    pub const ALL: [Self; 23] = [
        Self::NonCompliantHeader,
        Self::SpaceInUri,
        Self::NonCompliantVersion,
        Self::GetHeadZeroContentLength,
        Self::NonCrLfLineTermination,
        Self::EmptyHeader,
        Self::AmbiguousUri,
        Self::UndefinedContentLengthSemantics,
        Self::UndefinedTransferEncodingSemantics,
        Self::DuplicateContentLength,
        Self::BothTeClPresent,
        Self::SuspiciousHeader,
        Self::MultilineHeader,
        Self::MissingHeaderColon,
        Self::MissingUri,
        Self::BadHeader,
        Self::BadUri,
        Self::BadVersion,
        Self::BadMethod,
        Self::MultipleContentLength,
        Self::BadContentLength,
        Self::MultipleTransferEncodingChunked,
        Self::BadTransferEncoding,
    ];

    /// Its class.
    pub const fn class(self) -> Class {
        match self as u8 {
            ..=5 => Class::Acceptable,
            6..=15 => Class::Ambiguous,
            _ => Class::Severe,
        }
    }

    /// The code, as an ALB writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonCompliantHeader => "NonCompliantHeader",
            Self::SpaceInUri => "SpaceInUri",
            Self::NonCompliantVersion => "NonCompliantVersion",
            Self::GetHeadZeroContentLength => "GetHeadZeroContentLength",
            Self::NonCrLfLineTermination => "NonCrLfLineTermination",
            Self::EmptyHeader => "EmptyHeader",
            Self::AmbiguousUri => "AmbiguousUri",
            Self::UndefinedContentLengthSemantics => "UndefinedContentLengthSemantics",
            Self::UndefinedTransferEncodingSemantics => "UndefinedTransferEncodingSemantics",
            Self::DuplicateContentLength => "DuplicateContentLength",
            Self::BothTeClPresent => "BothTeClPresent",
            Self::SuspiciousHeader => "SuspiciousHeader",
            Self::MultilineHeader => "MultilineHeader",
            Self::MissingHeaderColon => "MissingHeaderColon",
            Self::MissingUri => "MissingUri",
            Self::BadHeader => "BadHeader",
            Self::BadUri => "BadUri",
            Self::BadVersion => "BadVersion",
            Self::BadMethod => "BadMethod",
            Self::MultipleContentLength => "MultipleContentLength",
            Self::BadContentLength => "BadContentLength",
            Self::MultipleTransferEncodingChunked => "MultipleTransferEncodingChunked",
            Self::BadTransferEncoding => "BadTransferEncoding",
        }
    }

    /// The reason of this number; `None` for 0.
    pub fn of(number: u8) -> Option<Self> {
        let position = usize::from(number).checked_sub(1)?;
        Self::ALL.get(position).copied()
    }

    /// What `mode` does with a request that can be served in spite of it.
    ///
    /// In `monitor` a client keeps its connection, unless it said in two ways where its body ends: then RFC 9112 section
    /// 6.3 leaves no choice.
    pub const fn ruling(self, mode: DesyncMode) -> Ruling {
        match (mode, self.class()) {
            (DesyncMode::Strictest, _) | (_, Class::Severe) => Ruling::Refuse,
            (_, Class::Acceptable) => Ruling::Serve,
            (DesyncMode::Defensive, Class::Ambiguous) => Ruling::ServeAndClose,
            (DesyncMode::Monitor, Class::Ambiguous) if self.doubts_framing() => {
                Ruling::ServeAndClose
            }
            (DesyncMode::Monitor, Class::Ambiguous) => Ruling::ServeAlone,
        }
    }

    const fn doubts_framing(self) -> bool {
        matches!(self, Self::BothTeClPresent | Self::DuplicateContentLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_number_and_its_class() {
        for (number, reason) in (1..).zip(Desync::ALL) {
            assert_eq!((reason as u8, Desync::of(number)), (number, Some(reason)));
        }
        assert_eq!((Desync::of(0), Desync::of(24)), (None, None));
        let classes = Desync::ALL.map(Desync::class);
        assert!(classes.is_sorted());
        let count = |class| classes.iter().filter(|of| **of == class).count();
        assert_eq!(count(Class::Acceptable), 5);
        assert_eq!(count(Class::Ambiguous), 10);
        assert_eq!(count(Class::Severe), 8);
    }

    #[test]
    fn each_mode_refuses_what_its_name_says() {
        use DesyncMode::{Defensive, Monitor, Strictest};
        for (reason, mode, expect) in [
            (Desync::SpaceInUri, Monitor, Ruling::Serve),
            (Desync::SpaceInUri, Defensive, Ruling::Serve),
            (Desync::SpaceInUri, Strictest, Ruling::Refuse),
            (Desync::SuspiciousHeader, Monitor, Ruling::ServeAlone),
            (Desync::BothTeClPresent, Monitor, Ruling::ServeAndClose),
            (Desync::SuspiciousHeader, Defensive, Ruling::ServeAndClose),
            (Desync::SuspiciousHeader, Strictest, Ruling::Refuse),
            (Desync::BadUri, Monitor, Ruling::Refuse),
            (Desync::BadUri, Defensive, Ruling::Refuse),
            (Desync::BadUri, Strictest, Ruling::Refuse),
        ] {
            assert_eq!(reason.ruling(mode), expect, "{reason:?} {mode:?}");
        }
    }
}
