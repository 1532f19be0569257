/// A file that breaks a rule of its format (exit code 65).
///
/// Printed as `path: format: code at byte N (rule): expected X, found Y`; compared by `code` and `rule`.
public struct FormatError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, in the words of the format's specification: `truncated`, `bad-magic`, `shape-bomb`.
    public struct Code: Hashable, Sendable, RawRepresentable, ExpressibleByStringLiteral, CustomStringConvertible {
        public var rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public init(stringLiteral value: String) { self.rawValue = value }
        public var description: String { rawValue }
    }

    /// The file, where it is known; filled in by whoever opened it.
    public var path: String?
    /// The format's name: `hdf5`, `ingot`, `keras`, `json`, ...
    public var format: String
    public var code: Code
    /// Position in the file, in bytes.
    public var offset: UInt64?
    /// The numbered constraint of the format's SPEC.md that was broken, where there is one.
    public var rule: String?
    public var expected: String?
    public var found: String?

    public init(
        _ format: String, _ code: Code, path: String? = nil, at offset: UInt64? = nil, rule: String? = nil,
        expected: String? = nil, found: String? = nil
    ) {
        self.path = path
        self.format = format
        self.code = code
        self.offset = offset
        self.rule = rule
        self.expected = expected
        self.found = found
    }

    /// The same error with the file's path, unless it has one already.
    public func inFile(_ path: String) -> FormatError {
        var copy = self
        copy.path = copy.path ?? path
        return copy
    }

    public var description: String {
        var text = path.map { "\(escapingControlCharacters($0)): " } ?? ""
        text += "\(format): \(code)"
        if let offset { text += " at byte \(offset)" }
        if let rule { text += " (\(rule))" }
        switch (expected, found) {
        case (let expected?, let found?): text += ": expected \(expected), found \(found)"
        case (let expected?, nil): text += ": expected \(expected)"
        case (nil, let found?): text += ": found \(found)"
        case (nil, nil): break
        }
        return escapingControlCharacters(text)
    }
}

/// Something that is understood but that Ingot, or the target, does not support or can not express (exit code 69).
public struct UnsupportedError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String
    /// Every layer, tensor or key that stands in the way: the full list, never only the first.
    public var items: [String]

    public init(_ message: String, items: [String] = []) {
        self.message = message
        self.items = items
    }

    public var description: String {
        escapingControlCharacters(items.isEmpty ? message : "\(message): \(items.joined(separator: "; "))")
    }
}

/// Input that the user gave and that does not fit the model: a missing key, a wrong shape, an id out of range (exit code 65).
public struct InputError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String
    public init(_ message: String) { self.message = message }
    public var description: String { escapingControlCharacters(message) }
}

/// Text fit for a terminal: control characters (also C1, and bidirectional overrides) as `\u{..}`, so that no name in a file can move the cursor.
public func escapingControlCharacters(_ text: String) -> String {
    func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }
    guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
        if isUnsafe(scalar) {
            result += "\\u{\(String(scalar.value, radix: 16))}"
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}
