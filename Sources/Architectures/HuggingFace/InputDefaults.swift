import ByteIO
import ModelIR

/// The inputs of a graph while what was left out is filled in as the framework does.
struct InputDefaults {
    private(set) var inputs: [String: Tensor]
    /// Lines for people on decisions that aren't plain.
    private(set) var notes: [String] = []

    init(_ inputs: [String: Tensor]) { self.inputs = inputs }

    /// The shape of an input that nothing can stand in for.
    /// - Throws: `InputError` where it is missing or has another rank.
    func shape(of name: String, rank: Int) throws -> [Int] {
        guard let tensor = inputs[name] else { throw InputError("input '\(name)' is missing") }
        guard tensor.shape.count == rank else {
            throw InputError("input '\(name)' has shape \(tensor.shape), expected \(rank) dimensions")
        }
        return tensor.shape
    }

    /// `value` everywhere.
    mutating func fill(_ name: String, _ shape: [Int], with value: Int) {
        guard inputs[name] == nil else { return }
        inputs[name] = Tensor([Int64](repeating: Int64(value), count: shape.reduce(1, *)), shape: shape)
    }

    /// 0, 1, 2, ... along the last axis; positions that are given once for all rows are repeated.
    mutating func fillPositions(_ name: String, _ shape: [Int], from start: Int = 0) throws {
        guard let length = shape.last else { return }
        if let given = inputs[name] {
            guard given.shape != shape, given.count == length, given.shape.last == length else { return }
            let row = try given.doubles()
            let rows = length == 0 ? 0 : shape.reduce(1, *) / length
            inputs[name] = Tensor((0..<rows).flatMap { _ in row }, dtype: given.dtype, shape: shape)
        } else {
            inputs[name] = Tensor((0..<shape.reduce(1, *)).map { Int64(start + $0 % length) }, shape: shape)
        }
    }

    /// - Parameter note: what was decided, where that isn't plain.
    mutating func set(_ name: String, _ tensor: Tensor, note: String? = nil) {
        inputs[name] = tensor
        if let note { notes.append(note) }
    }

    mutating func note(_ line: String) { notes.append(line) }

    /// - Throws: `InputError` where an input is there and holds negative numbers, which the graph gives a meaning of its own.
    func requireNoNegatives(_ name: String) throws {
        if let value = try inputs[name]?.doubles().first(where: { $0 < 0 }) {
            throw InputError("input '\(name)' holds \(value), expected ids from 0 on")
        }
    }
}
