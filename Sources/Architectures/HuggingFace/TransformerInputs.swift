import ByteIO
import ModelIR

extension TransformerFamily {
    /// Masks of ones, segments 0, positions from 0, each in the shape of the tokens that it is for.
    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        (try filled(inputs) { _, shape in try Tensor.positions(shape) }, [])
    }

    /// - Parameter positions: what stands for positions that aren't given, from the tokens and their shape.
    func filled(_ given: [String: Tensor], positions: (Tensor, [Int]) throws -> Tensor) throws -> [String: Tensor] {
        var inputs = given
        let tokenNames = self.inputs.filter { if case .tokens = $0.role { true } else { false } }.map(\.name)
        for input in self.inputs where !input.isOptional && inputs[input.name] == nil {
            throw InputError(
                "the input \(input.name) is missing; the model takes \(self.inputs.map { $0.isOptional ? "[\($0.name)]" : $0.name }.joined(separator: ", "))"
            )
        }
        for input in self.inputs where input.isOptional {
            var reference = tokenNames.first
            if case .mask(let of) = input.role { reference = of }
            guard let tokens = reference.flatMap({ inputs[$0] }) else { continue }
            let shape = tokens.shape
            if let tensor = inputs[input.name] {
                inputs[input.name] = try tensor.repeated(to: shape)
                continue
            }
            switch input.role {
            case .mask: inputs[input.name] = Tensor([Int64](repeating: 1, count: shape.reduce(1, *)), shape: shape)
            case .segments, .globalAttention: inputs[input.name] = Tensor([Int64](repeating: 0, count: shape.reduce(1, *)), shape: shape)
            case .positions: inputs[input.name] = try positions(tokens, shape)
            case .tokens, .values: break
            }
        }
        return inputs
    }
}

extension Tensor {
    /// 0, 1, 2, ... along the last axis.
    static func positions(_ shape: [Int]) throws -> Tensor {
        let length = shape.last ?? 1
        return Tensor((0..<shape.reduce(1, *)).map { Int64($0 % max(length, 1)) }, shape: shape)
    }

    /// One row for every row of `shape`, as frameworks broadcast it: [1, sequence] to [batch, sequence].
    fileprivate func repeated(to shape: [Int]) throws -> Tensor {
        guard self.shape != shape, self.shape.count == shape.count, self.shape.first == 1, self.shape.dropFirst() == shape.dropFirst(),
            let count = shape.first, count > 0
        else { return self }
        let row = try bytes()
        return Tensor(dtype: dtype, shape: shape, bytes: [[UInt8]](repeating: row, count: count).flatMap { $0 })
    }
}
