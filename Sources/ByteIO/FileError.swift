import Glibc

/// The operating system's refusal to open, read or write a file.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The input is not there or can't be read (exit code 66).
        case input
        /// The output can't be written or put in place (exit code 73).
        case output
    }

    public var kind: Kind
    public var path: String
    public var message: String

    public init(_ kind: Kind, path: String, message: String) {
        self.kind = kind
        self.path = path
        self.message = message
    }

    /// The error for the current `errno`.
    public static func last(_ kind: Kind, path: String, doing action: String) -> FileError {
        FileError(kind, path: path, message: "\(action): \(String(cString: strerror(errno)))")
    }

    public var description: String { escapingControlCharacters("\(path): \(message)") }
}
