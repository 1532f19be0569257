import ModelIR

/// A named, typed value on a group or tensor.
public struct Attribute: Hashable, Sendable {
    public var name: String
    public var value: AttributeValue

    public init(_ name: String, _ value: AttributeValue) {
        self.name = name
        self.value = value
    }
}

/// The value of an attribute, in everything that its writer chose: scalar or array, fixed or variable strings, ASCII or UTF-8.
public enum AttributeValue: Hashable, Sendable {
    case strings(Strings)
    case numbers(Numbers)
    /// No elements and no shape (HDF5's null dataspace), of numbers of this dtype; nil for strings.
    case null(DType?)

    public struct Strings: Hashable, Sendable {
        public enum Storage: Hashable, Sendable {
            case variable
            /// Bytes a string takes in the file, and how shorter ones are filled.
            case fixed(byteCount: Int, padding: Padding)
        }

        public enum Padding: String, Hashable, Sendable {
            case nullTerminated, nullPadded, spacePadded
        }

        public enum Charset: String, Hashable, Sendable {
            case ascii, utf8
        }

        /// Bytes of each string, without padding or terminator.
        public var values: [[UInt8]]
        /// Empty for a scalar.
        public var shape: [Int]
        public var storage: Storage
        public var charset: Charset

        public init(values: [[UInt8]], shape: [Int], storage: Storage, charset: Charset) {
            self.values = values
            self.shape = shape
            self.storage = storage
            self.charset = charset
        }
    }

    public struct Numbers: Hashable, Sendable {
        public var dtype: DType
        /// Empty for a scalar.
        public var shape: [Int]
        /// Dense, row-major, little-endian.
        public var bytes: [UInt8]

        public init(dtype: DType, shape: [Int], bytes: [UInt8]) {
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }
    }

    /// A variable-length UTF-8 scalar, as h5py writes a `str`.
    public static func text(_ text: String) -> AttributeValue {
        .strings(Strings(values: [Array(text.utf8)], shape: [], storage: .variable, charset: .utf8))
    }

    /// A variable-length ASCII scalar, as h5py writes `bytes`.
    public static func asciiText(_ text: String) -> AttributeValue {
        .strings(Strings(values: [Array(text.utf8)], shape: [], storage: .variable, charset: .ascii))
    }

    /// The one string of a scalar, or of an array of one; nil for anything else or for bytes that aren't UTF-8.
    public var text: String? {
        guard case .strings(let strings) = self, strings.values.count == 1 else { return nil }
        return String(validating: strings.values[0], as: UTF8.self)
    }

    /// The strings of an array or scalar. An empty array of numbers counts as no strings: h5py writes an empty list so.
    public var texts: [String]? {
        switch self {
        case .strings(let strings):
            var result: [String] = []
            for bytes in strings.values {
                guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
                result.append(text)
            }
            return result
        case .numbers(let numbers): return numbers.bytes.isEmpty ? [] : nil
        case .null: return []
        }
    }
}

extension [Attribute] {
    public subscript(name: String) -> AttributeValue? { first { $0.name == name }?.value }

    /// A list of strings under `name`, or split over `name0`, `name1`, ... as Keras does past HDF5's 64 KiB limit for an attribute.
    /// - Returns: nil if neither is there or one of them holds no strings.
    public func strings(_ name: String) -> [String]? {
        if let whole = self[name] { return whole.texts }
        var parts: [String] = []
        var index = 0
        while let part = self["\(name)\(index)"] {
            guard let texts = part.texts else { return nil }
            parts += texts
            index += 1
        }
        return index == 0 ? nil : parts
    }
}
