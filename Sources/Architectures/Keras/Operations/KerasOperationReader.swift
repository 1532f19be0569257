import ByteIO
import JSON
import ModelIR

/// Reads an operation's arguments wherever its framework puts them: by position, by keyword, or (Keras 3) in its configuration.
struct KerasOperationReader<Tensor: Hashable & Sendable> {
    let spec: KerasLayerSpec
    let positional: [KerasValue<Tensor>]
    let keywords: [String: KerasValue<Tensor>]
    private(set) var used: Set<String> = ["name"]

    init(_ spec: KerasLayerSpec, _ positional: [KerasValue<Tensor>], _ keywords: [String: KerasValue<Tensor>]) {
        self.spec = spec
        self.positional = positional
        self.keywords = keywords
    }

    var title: String { "node '\(spec.name)' (\(KerasOperation.name(of: spec)))" }

    func failure(_ what: String) -> UnsupportedError { UnsupportedError("\(title) \(what), which isn't supported") }

    /// A tensor, or a constant in its place.
    mutating func operand(_ names: String..., at position: Int) throws -> KerasValue<Tensor> {
        for name in names { used.insert(name) }
        let found = names.compactMap { keywords[$0] }.first ?? (position < positional.count ? positional[position] : nil)
        guard let found else { throw kerasError("bad-config", expected: "argument \(position) of \(title)", found: "nothing") }
        return found
    }

    private func constant(_ value: KerasValue<Tensor>?, _ name: String) throws -> JSONValue? {
        guard let value else { return nil }
        guard case .constant(let constant) = value else { throw failure("computes its argument \(name)") }
        return constant
    }

    mutating func int(_ names: String..., at position: Int? = nil, default fallback: Int? = nil) throws -> Int {
        guard let constant = try constant(find(names, position), names[0]) else {
            guard let fallback else { throw failure("has no \(names[0])") }
            return fallback
        }
        guard let int = constant.int, abs(int) < 1 << 40 else { throw failure("has \(names[0]) \(constant.serializedPrefix)") }
        return int
    }

    /// One or several integers; nil where there are none.
    mutating func ints(_ names: String..., at position: Int? = nil) throws -> [Int]? {
        guard let constant = try constant(find(names, position), names[0]) else { return nil }
        let list = constant.int.map { [$0] } ?? constant.array?.compactMap(\.int) ?? []
        guard list.count == (constant.array?.count ?? 1), list.count <= 16, list.allSatisfy({ abs($0) < 1 << 40 }) else {
            throw failure("has \(names[0]) \(constant.serializedPrefix)")
        }
        return list
    }

    mutating func flag(_ names: String..., at position: Int? = nil) throws -> Bool {
        guard let constant = try constant(find(names, position), names[0]) else { return false }
        guard let bool = constant.bool ?? constant.int.map({ $0 != 0 }) else {
            throw failure("has \(names[0]) \(constant.serializedPrefix)")
        }
        return bool
    }

    mutating func number(_ names: String..., at position: Int? = nil, default fallback: Double) throws -> Double {
        guard let constant = try constant(find(names, position), names[0]) else { return fallback }
        guard let number = constant.double ?? constant["config"]?["value"]?.double else {
            throw failure("has \(names[0]) \(constant.serializedPrefix)")
        }
        return number
    }

    mutating func text(_ names: String..., at position: Int? = nil, default fallback: String) throws -> String {
        guard let constant = try constant(find(names, position), names[0]) else { return fallback }
        guard let text = dtypeName(constant) else { throw failure("has \(names[0]) \(constant.serializedPrefix)") }
        return text
    }

    mutating func json(_ names: String..., at position: Int? = nil) throws -> JSONValue? {
        try constant(find(names, position), names[0])
    }

    /// An argument by one of its names, by position, or in the configuration; nil where it isn't given, or null.
    private mutating func find(_ names: [String], _ position: Int?) -> KerasValue<Tensor>? {
        for name in names {
            used.insert(name)
            if let value = keywords[name] {
                if case .constant(let constant) = value, constant.isNull { return nil }
                return value
            }
        }
        if let position, position < positional.count {
            if case .constant(let constant) = positional[position], constant.isNull { return nil }
            return positional[position]
        }
        // Only operations of Keras 3 have arguments in their configuration; others have what all layers have there.
        guard spec.config["function"] == nil && spec.config["node_def"] == nil else { return nil }
        for name in names { if let value = spec.config[name], !value.isNull { return .constant(value) } }
        return nil
    }

    /// - Throws: `UnsupportedError` for keywords that nobody asked for and that say something.
    func finish() throws {
        for (name, value) in keywords.sorted(by: { $0.key < $1.key }) where !used.contains(name) {
            if case .constant(let constant) = value, constant.isNull || constant.bool == false { continue }
            throw failure("is called with \(name)")
        }
    }
}
