import ByteIO
import JSON
import ModelIR

/// Numbers of a configuration, nested in lists.
struct ConstantArray: Hashable, Sendable {
    var shape: [Int]
    var values: [Double]
    /// Bools only, integers only.
    var isBool: Bool
    var isInteger: Bool

    /// Larger ones belong among the weights.
    static let limit = 1 << 16

    /// nil for anything but numbers or bools in rectangular lists; NumPy arrays of Keras 3 count.
    init?(_ value: JSONValue) {
        shape = []
        values = []
        isBool = true
        isInteger = true
        var value = value
        if let inner = value["config"]?["value"], ["__numpy__", "__tensor__"].contains(value["class_name"]?.string) { value = inner }
        if value["type"]?.string == "ndarray", let inner = value["value"] { value = inner }
        var probe = value
        while let list = probe.array {
            guard shape.count < 16 else { return nil }
            shape.append(list.count)
            guard let first = list.first else { break }
            probe = first
        }
        guard collect(value, depth: 0), values.count <= Self.limit else { return nil }
        if values.isEmpty { isBool = false }
    }

    private mutating func collect(_ value: JSONValue, depth: Int) -> Bool {
        if depth < shape.count {
            guard let list = value.array, list.count == shape[depth] else { return false }
            for element in list {
                guard values.count <= Self.limit, collect(element, depth: depth + 1) else { return false }
            }
            return true
        }
        if let bool = value.bool {
            values.append(bool ? 1 : 0)
            return true
        }
        guard let number = value.double else { return false }
        isBool = false
        if value.int == nil { isInteger = false }
        values.append(number)
        return true
    }
}

extension KerasBuilder {
    /// A constant of any size: the graph's own hold 16 elements, more are joined.
    mutating func constant(_ array: ConstantArray, dtype: DType) throws -> ValueID {
        let values = array.values.map { dtype == .f32 ? Double(Float($0)) : $0 }
        if values.count <= 16 { return try graph.append(.constant(Literal(dtype, shape: array.shape, values)), []) }
        var pieces: [ValueID] = []
        for start in stride(from: 0, to: values.count, by: 16) {
            let piece = Array(values[start..<min(start + 16, values.count)])
            pieces.append(try graph.append(.constant(Literal(dtype, shape: [piece.count], piece)), []))
        }
        return try graph.append(.reshape(Shape(fixed: array.shape)), [graph.append(.concat(axis: 0), pieces)])
    }
}
