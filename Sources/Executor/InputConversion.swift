import ByteIO
import ModelIR

extension Plan {
    /// - Throws: `InputError` for a missing or unknown input, and for a shape other than the planned one.
    func check(_ inputs: [String: Tensor]) throws {
        for name in inputs.keys.sorted() where !graph.inputs.contains(where: { $0.name == name }) {
            throw InputError("the model has no input '\(name)'; it takes \(graph.inputs.map { "'\($0.name)'" }.joined(separator: ", "))")
        }
        for input in graph.inputs {
            let shape = program.types[input.value.index].shape
            guard let tensor = inputs[input.name] else { throw InputError("input '\(input.name)' \(shape) is missing") }
            guard tensor.shape == shape else {
                throw InputError("input '\(input.name)' has shape \(tensor.shape), the plan was made for \(shape)")
            }
        }
    }

    /// A value for each of the graph's inputs, in the graph's order and of its dtypes.
    /// - Throws: `InputError` for elements that the graph's dtype can't hold exactly.
    func converted(_ inputs: [String: Tensor]) throws -> [ReferenceArray] {
        try graph.inputs.compactMap { input in
            try inputs[input.name].map { try ReferenceArray(input: input.name, $0, program.types[input.value.index]) }
        }
    }
}

extension ReferenceArray {
    /// A user's tensor as an input of `type`: integers and floats convert where nothing is lost, floats to floats always.
    init(input name: String, _ tensor: Tensor, _ type: ConcreteType) throws {
        if type.dtype.isFloat {
            self.init(type, try tensor.doubles())
            return
        }
        guard let values = try tensor.exactIntegers() else {
            let odd = try tensor.doubles().first { Int64(exactly: $0) == nil }
            throw InputError(
                "input '\(name)' is \(type.dtype.rawValue) and can't hold \(odd.map { "\($0)" } ?? "integers past 2^63") exactly")
        }
        let range = type.dtype.integerRange
        if let odd = values.first(where: { !range.contains($0) }) {
            throw InputError("input '\(name)' is \(type.dtype.rawValue) and can't hold \(odd)")
        }
        self.init(type, values)
    }
}
