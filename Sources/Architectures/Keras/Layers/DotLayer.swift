import ByteIO
import JSON
import ModelIR

/// Products of two inputs summed over an axis of each, for each element of the batch: x [batch, a.., k, b..] and y [batch, c.., k, d..]
/// give [batch, a.., b.., c.., d..]; two vectors give [batch, 1].
struct DotLayer: KerasLayer {
    let config: KerasLayerConfig
    let axes: [Int]
    let normalizes: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        let list = try config.ints("axes")
        guard list.count == 1 || list.count == 2 else { throw config.error("axes", expected: "one axis, or one for each input") }
        axes = [list[0], list[list.count - 1]]
        normalizes = try config.bool("normalize", default: false)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        guard call.inputs.count == 2 else {
            throw kerasError("bad-config", expected: "2 inputs for layer '\(config.name)'", found: "\(call.inputs.count)")
        }
        var values: [ValueID] = []
        var reduced: [Int] = []
        for (input, axis) in zip(call.inputs, axes) {
            let rank = builder.shape(of: input).rank
            let front = axis < 0 ? axis + rank : axis
            guard rank >= 2, front > 0, front < rank else { throw config.error("axes", expected: "axes of inputs, but the batch's") }
            let x = try builder.float(input)
            values.append(normalizes ? try builder.unit(x, axes: [front], epsilon: 1e-12) : x)
            reduced.append(front)
        }
        let (x, y) = (builder.graph.type(of: values[0]).shape.dims, builder.graph.type(of: values[1]).shape.dims)
        let (xs, ys) = (x.indices.filter { $0 != 0 && $0 != reduced[0] }, y.indices.filter { $0 != 0 && $0 != reduced[1] })
        // [batch, rest, k] x [batch, k, rest]
        let left = try builder.graph.append(
            .reshape([x[0], Shape(xs.map { x[$0] }).elementCount, x[reduced[0]]]),
            [builder.transposed(values[0], [0] + xs + [reduced[0]])])
        let right = try builder.graph.append(
            .reshape([y[0], y[reduced[1]], Shape(ys.map { y[$0] }).elementCount]),
            [builder.transposed(values[1], [0, reduced[1]] + ys)])
        let product = try builder.graph.append(.matmul, [left, right])
        let rest = xs.map { x[$0] } + ys.map { y[$0] }
        let shape = Shape([x[0]] + (rest.isEmpty ? [1] : rest))
        return [KerasTensor(try builder.graph.append(.reshape(shape), [product]))]
    }
}

extension KerasBuilder {
    mutating func transposed(_ x: ValueID, _ permutation: [Int]) throws -> ValueID {
        permutation == Array(permutation.indices) ? x : try graph.append(.transpose(permutation), [x])
    }

    /// x / sqrt(max(sum(x^2), epsilon)) over some axes.
    mutating func unit(_ x: ValueID, axes: [Int], epsilon: Double) throws -> ValueID {
        let squares = try graph.append(.reduce(.sum, axes: axes, keepsDimensions: true), [graph.binary(.multiply, x, x)])
        let bounded = try graph.binary(.maximum, squares, graph.scalar(epsilon, graph.type(of: x).dtype))
        return try graph.binary(.multiply, x, graph.unary(.rsqrt, bounded))
    }
}
