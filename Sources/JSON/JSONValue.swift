/// A JSON document: objects keep their order, numbers their spelling.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// A number as it was spelled, so that nothing is lost on the way through; also Python's `NaN`, `Infinity` and `-Infinity`.
public struct JSONNumber: Hashable, Sendable {
    public let literal: String

    /// - Precondition: `literal` is a JSON number or one of Python's three.
    init(literal: String) { self.literal = literal }

    public init(_ value: Int) { literal = String(value) }

    /// The shortest spelling that reads back as the same value; whole numbers keep their `.0`, as Python writes them.
    public init(_ value: Double) {
        literal = value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
    }

    /// The exact integer, if it is one in range (`3.0` is not spelled as one, and counts only here, not in `isInteger`).
    public var int: Int? { Int(literal) ?? Double(literal).flatMap { Int(exactly: $0) } }
    public var isInteger: Bool { Int(literal) != nil }

    public var double: Double {
        switch literal {
        case "NaN": .nan
        case "Infinity": .infinity
        case "-Infinity": -.infinity
        default: Double(literal) ?? .nan
        }
    }
}

/// Members in document order; keys are unique.
public struct JSONObject: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    public struct Member: Hashable, Sendable {
        public var key: String
        public var value: JSONValue
    }

    public private(set) var members: [Member] = []
    /// Where each key is; empty while a search from the front is quicker, which spares most objects a table.
    private var positions: [String: Int] = [:]
    private static let searchedCount = 8

    public init() {}

    /// - Precondition: no key appears twice.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (key, value) in elements { self[key] = value }
    }

    public static func == (a: JSONObject, b: JSONObject) -> Bool { a.members == b.members }
    public func hash(into hasher: inout Hasher) { hasher.combine(members) }

    public var keys: [String] { members.map(\.key) }
    public var count: Int { members.count }
    public var isEmpty: Bool { members.isEmpty }

    /// Setting a known key keeps its place; setting nil removes it.
    public subscript(key: String) -> JSONValue? {
        get { position(of: key).map { members[$0].value } }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?): members[position].value = value
            case (nil, let value?):
                members.append(Member(key: key, value: value))
                if !positions.isEmpty { positions[key] = members.count - 1 } else { makePositions() }
            case (let position?, nil):
                members.remove(at: position)
                positions = [:]
                makePositions()
            case (nil, nil): break
            }
        }
    }

    /// Adds a member whose value is to come, by `setLastValue(_:)`; the parser's way in, with one look-up for each key.
    /// - Returns: false if the key is there already.
    mutating func appendKey(_ key: String) -> Bool {
        if positions.isEmpty {
            guard !members.contains(where: { $0.key == key }) else { return false }
            members.append(Member(key: key, value: .null))
            makePositions()
            return true
        }
        guard positions.updateValue(members.count, forKey: key) == nil else { return false }
        members.append(Member(key: key, value: .null))
        return true
    }

    mutating func setLastValue(_ value: JSONValue) { members[members.count - 1].value = value }

    private func position(of key: String) -> Int? {
        positions.isEmpty ? members.firstIndex { $0.key == key } : positions[key]
    }

    private mutating func makePositions() {
        guard members.count > Self.searchedCount else { return }
        for (position, member) in members.enumerated() { positions[member.key] = position }
    }
}

// Not by a nil literal: where an optional is meant it would silently become null.
extension JSONValue: ExpressibleByBooleanLiteral, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    public init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (key, value) in elements { object[key] = value }
        self = .object(object)
    }

    public static func int(_ value: Int) -> JSONValue { .number(JSONNumber(value)) }
    public static func double(_ value: Double) -> JSONValue { .number(JSONNumber(value)) }

    public var isNull: Bool { self == .null }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
    public var int: Int? { number?.int }
    public var double: Double? { number?.double }
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// A member of an object; nil for anything else.
    public subscript(key: String) -> JSONValue? { object?[key] }
    /// An element of an array; nil past the end and for anything else.
    public subscript(index: Int) -> JSONValue? { array.flatMap { $0.indices.contains(index) ? $0[index] : nil } }
}
