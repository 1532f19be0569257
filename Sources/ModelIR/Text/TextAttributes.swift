/// A value of an attribute, before its op says what it means.
enum TextValue {
    case token(String)
    case pair(String, String)
    case list([TextValue])
    case call(String, [(name: String, value: String)])
}

/// The attributes of one node in the text. Each getter takes its attribute; `finish` refuses what is left.
struct TextAttributes {
    let op: String
    /// Of the op's name.
    let offset: Int
    private var entries: [String: (value: TextValue?, offset: Int)] = [:]

    init(op: String, offset: Int) {
        self.op = op
        self.offset = offset
    }

    /// - Parameter value: nil for a flag.
    mutating func add(_ key: String, _ value: TextValue?, at place: Int) throws(TextFailure) {
        guard entries.updateValue((value, place), forKey: key) == nil else {
            throw TextFailure(offset: place, message: "'\(key)' is given twice")
        }
    }

    func finish() throws(TextFailure) {
        if let (key, entry) = entries.min(by: { $0.value.offset < $1.value.offset }) {
            throw TextFailure(offset: entry.offset, message: "\(op) has no attribute '\(key)'")
        }
    }

    private mutating func take(_ key: String) throws(TextFailure) -> (value: TextValue?, offset: Int) {
        guard let entry = entries.removeValue(forKey: key) else {
            throw TextFailure(offset: offset, message: "\(op) needs the attribute '\(key)'")
        }
        return entry
    }

    mutating func flag(_ key: String) throws(TextFailure) -> Bool {
        guard let entry = entries.removeValue(forKey: key) else { return false }
        guard entry.value == nil else { throw TextFailure(offset: entry.offset, message: "'\(key)' takes no value") }
        return true
    }

    /// The attribute's value, if `convert` can make one of it.
    private mutating func value<T>(_ key: String, _ what: String, _ convert: (TextValue) -> T?) throws(TextFailure) -> T {
        let entry = try take(key)
        guard let value = entry.value, let result = convert(value) else {
            throw TextFailure(offset: entry.offset, message: "'\(key)' is not \(what)")
        }
        return result
    }

    mutating func int(_ key: String) throws(TextFailure) -> Int { try value(key, "an integer") { $0.int } }

    mutating func ints(_ key: String) throws(TextFailure) -> [Int] { try value(key, "a list of integers") { $0.list { $0.int } } }

    mutating func number(_ key: String) throws(TextFailure) -> Double { try value(key, "a number") { $0.number } }

    /// One number, or a list of them.
    mutating func numbers(_ key: String) throws(TextFailure) -> [Double] {
        try value(key, "numbers") { $0.number.map { [$0] } ?? $0.list { $0.number } }
    }

    mutating func option<T: RawRepresentable & CaseIterable>(_ key: String) throws(TextFailure) -> T where T.RawValue == String {
        try value(key, "one of " + T.allCases.map(\.rawValue).joined(separator: ", ")) {
            if case .token(let word) = $0 { T(rawValue: word) } else { nil }
        }
    }

    mutating func ranges(_ key: String) throws(TextFailure) -> [SliceRange] {
        try value(key, "a list of ranges start:end:step") { $0.list { $0.range } }
    }

    mutating func widths(_ key: String) throws(TextFailure) -> [PadWidth] {
        try value(key, "a list of pairs (before, after)") {
            $0.list { if case .pair(let a, let b) = $0, let a = Int(a), let b = Int(b) { PadWidth(a, b) } else { nil } }
        }
    }

    mutating func pattern(_ key: String) throws(TextFailure) -> AttentionPattern {
        try value(key, "an attention pattern with its parameters") { AttentionPattern($0) }
    }

    /// A pattern for each of as many groups of heads.
    mutating func patterns(_ key: String) throws(TextFailure) -> [AttentionPattern] {
        try value(key, "a list of attention patterns") { $0.list { AttentionPattern($0) } }
    }

    func has(_ key: String) -> Bool { entries[key] != nil }

    mutating func activation(_ key: String) throws(TextFailure) -> Activation {
        try value(key, "an activation with its parameters") {
            switch $0 {
            case .token(let name): return Activation(name: name, arguments: [])
            case .call(let name, let arguments):
                var numbers: [(String, Double)] = []
                for argument in arguments {
                    guard let number = TextValue.token(argument.value).number else { return nil }
                    numbers.append((argument.name, number))
                }
                return Activation(name: name, arguments: numbers)
            case .list, .pair: return nil
            }
        }
    }
}

extension TextValue {
    fileprivate var int: Int? { if case .token(let digits) = self { Int(digits) } else { nil } }

    /// Finite, or spelled `inf`, `-inf` or `nan`: a decimal that overflows is refused instead of becoming infinite.
    fileprivate var number: Double? {
        guard case .token(let digits) = self, let value = Double(digits) else { return nil }
        return value.isFinite || ["inf", "-inf", "nan"].contains(digits) ? value : nil
    }

    fileprivate var range: SliceRange? {
        guard case .token(let text) = self else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else { return nil }
        guard let start = parts[0].isEmpty ? 0 : Int(parts[0]), let step = parts.count == 2 ? 1 : Int(parts[2]) else { return nil }
        if parts[1].isEmpty { return SliceRange(start, nil, step: step) }
        return Int(parts[1]).map { SliceRange(start, $0, step: step) }
    }

    func list<T>(_ convert: (TextValue) -> T?) -> [T]? {
        guard case .list(let items) = self else { return nil }
        let converted = items.compactMap(convert)
        return converted.count == items.count ? converted : nil
    }
}
