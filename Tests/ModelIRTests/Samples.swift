import ModelIR

/// One op that types check, and the inputs it is given.
struct Sample {
    var op: Op
    var inputs: [ValueType]

    init(_ op: Op, _ inputs: [ValueType]) {
        self.op = op
        self.inputs = inputs
    }
}

func f32(_ dims: Dim...) -> ValueType { ValueType(.f32, Shape(dims)) }
func i64(_ dims: Dim...) -> ValueType { ValueType(.i64, Shape(dims)) }
func bool(_ dims: Dim...) -> ValueType { ValueType(.bool, Shape(dims)) }

let batch = Dim.symbol("batch")
let time = Dim.symbol("time")

enum Samples {
    /// Every case, with parameters that need all digits of a double.
    static let activations: [Activation] = [
        .linear, .relu, .relu6, .rectifier(maximum: nil, negativeSlope: 0.1, threshold: -0.0),
        .rectifier(maximum: 1.0 / 3, negativeSlope: 0, threshold: 1e-300), .leakyReLU(negativeSlope: 0.30000001192092896), .elu(alpha: 1),
        .celu(alpha: 0.1 + 0.2), .selu, .sigmoid, .hardSigmoid(slope: 1.0 / 6, offset: 0.5), .tanh, .hardTanh, .tanhShrink, .softplus,
        .softsign, .exponential, .silu, .hardSiLU, .mish, .gelu, .geluTanh, .quickGELU, .clippedGELU(minimum: -10, maximum: 0.1 + 0.2),
        .reluSquared, .laplace(mean: 0.707107, deviation: 0.282095), .sqrtSoftplus, .logSigmoid, .squareplus(b: 4),
        .softShrink(threshold: 0.5),
        .hardShrink(threshold: .leastNonzeroMagnitude), .threshold(threshold: -.infinity, value: 1.7976931348623157e308), .sparsePlus,
        .sparseSigmoid,
        .softmax, .logSoftmax, .sparsemax, .glu,
    ]

    /// All cells with all combinations of flags.
    static var recurrences: [Sample] {
        let cells: [Recurrence.Cell] = [.simple, .lstm, .gru(resetAfter: false), .gru(resetAfter: true)]
        return cells.flatMap { cell in
            (0..<32).map { bits in
                let recurrence = Recurrence(
                    cell: cell, activation: .tanh, recurrentActivation: .hardSigmoid(slope: 0.2, offset: 0.5), hasBias: bits & 1 != 0,
                    hasMask: bits & 2 != 0, hasInitialState: bits & 4 != 0, goesBackwards: bits & 8 != 0,
                    zeroesMaskedOutput: bits & 16 != 0)
                let width = Dim.fixed(cell.gateCount * 4)
                var inputs = [f32(batch, time, 3), f32(3, width), f32(4, width)]
                if recurrence.hasBias { inputs.append(cell == .gru(resetAfter: true) ? f32(2, width) : f32(width)) }
                if recurrence.hasMask { inputs.append(bool(batch, time)) }
                if recurrence.hasInitialState { inputs += Array(repeating: f32(batch, 4), count: cell.stateCount) }
                return Sample(.composite(.recurrence(recurrence)), inputs)
            }
        }
    }

    static var normalizations: [Sample] {
        var samples: [Sample] = []
        for bits in 0..<8 {
            let layer = LayerNorm(axes: [1, 2], epsilon: 1e-3, hasScale: bits & 1 != 0, hasOffset: bits & 2 != 0, usesRMS: bits & 4 != 0)
            let parts = Array(repeating: f32(5, 6), count: (layer.hasScale ? 1 : 0) + (layer.hasOffset ? 1 : 0))
            samples.append(Sample(.composite(.layerNorm(layer)), [f32(batch, 5, 6)] + parts))
        }
        for bits in 0..<4 {
            let norm = BatchNorm(axis: 1, epsilon: 1e-5, hasScale: bits & 1 != 0, hasOffset: bits & 2 != 0)
            let parts = Array(repeating: f32(5), count: 2 + (norm.hasScale ? 1 : 0) + (norm.hasOffset ? 1 : 0))
            samples.append(Sample(.composite(.batchNorm(norm)), [f32(batch, 5, 6)] + parts))
        }
        return samples
    }

    /// Every pattern, and all combinations of flags.
    static var attentions: [Sample] {
        let patterns: [AttentionPattern] = [
            .full, .causal, .slidingWindow(before: 3, after: 0, dilation: 2), .strided(stride: 4), .fixed(stride: 4, summary: 1),
            .blockLocal(block: 5, before: 1, after: 0, causal: true), .blockLocal(block: 5, before: 0, after: 2, causal: false),
            .union([.slidingWindow(before: 4, after: 0, dilation: 1), .strided(stride: 4)]),
            .heads([
                .init(count: 2, pattern: .causal), .init(count: 4, pattern: .union([.causal, .union([.full, .strided(stride: 2)])])),
            ]),
        ]
        return patterns.enumerated().flatMap { i, pattern in
            (0..<(i == 0 ? 16 : 1)).map { bits in
                let attention = Attention(
                    pattern: pattern, scale: 1.0 / 3, hasKeyMask: bits & 1 != 0, hasBias: bits & 2 != 0, returnsWeights: bits & 4 != 0,
                    unattended: bits & 8 != 0 ? .zero : .uniform)
                let parts = (attention.hasKeyMask ? [bool(batch, time)] : []) + (attention.hasBias ? [f32(6, 1, time)] : [])
                return Sample(
                    .composite(.attention(attention)), [f32(batch, 7, 6, 5), f32(batch, time, 2, 5), f32(batch, time, 2, 4)] + parts)
            }
        }
    }

    /// Every op but composites; every case of every enum in one.
    static var primitives: [Sample] {
        var samples: [Sample] = []
        for function in UnaryFunction.allCases { samples.append(Sample(.unary(function), [function == .not ? bool(2) : f32(2)])) }
        for function in BinaryFunction.allCases {
            let type = function == .and || function == .or ? bool(2, batch) : f32(2, batch)
            samples.append(Sample(.binary(function), [type, type]))
        }
        for comparison in Comparison.allCases { samples.append(Sample(.compare(comparison), [i64(batch, 1), i64(3)])) }
        for dtype in DType.allCases {
            samples.append(Sample(.cast(dtype), [f32(batch)]))
            samples.append(Sample(.constant(Literal(dtype, shape: [2], [0, 1])), []))
            samples.append(Sample(.iota(ValueType(dtype, [2, 3]), axis: 1), []))
        }
        for reduction in Reduction.allCases {
            let type = reduction == .any || reduction == .all ? bool(2, batch, 3) : f32(2, batch, 3)
            samples.append(Sample(.reduce(reduction, axes: [0, -1], keepsDimensions: false), [type]))
            samples.append(Sample(.reduce(reduction, axes: [], keepsDimensions: true), [type]))
        }
        for padding in Padding.allCases {
            let convolution = Convolution(strides: [2], dilations: [3], padding: padding, groups: 2)
            samples.append(Sample(.convolution(convolution), [f32(batch, time, 4), f32(5, 2, 6)]))
            for kind in Pool.Kind.allCases where padding != .causal {
                let pool = Pool(kind: kind, sizes: [2, 3], strides: [2, 1], padding: padding)
                samples.append(Sample(.pool(pool), [f32(batch, time, 9, 4)]))
            }
        }
        samples += [
            Sample(.constant(Literal(.f32, [-0.0])), []), Sample(.constant(Literal(.f64, [.infinity])), []),
            Sample(.constant(Literal(.f64, shape: [1, 1], [1.0 / 3])), []), Sample(.constant(Literal(.f16, shape: [0, 3], [])), []),
            Sample(.constant(Literal(.i64, [-0x1p63])), []), Sample(.select, [bool(batch, 1), f32(3), f32(batch, 3)]),
            Sample(.matmul, [f32(batch, 2, 3), f32(3, 4)]), Sample(.reshape([batch, 12]), [f32(batch, 3, 4)]),
            Sample(.transpose([0, 2, 1]), [f32(batch, 3, 4)]), Sample(.broadcast([batch, time, 3]), [f32(1, 3)]),
            Sample(
                .slice([
                    SliceRange(), SliceRange(1), SliceRange(2, -3), SliceRange(-1), SliceRange(-3, -2), SliceRange(0, 8, step: 3),
                ]), [f32(batch, time, time, time, time, 9)]),
            Sample(.reverse(axes: [1, -1]), [f32(2, 3, batch)]), Sample(.reverse(axes: []), [f32(2)]),
            Sample(.pad([PadWidth(0, 0), PadWidth(-1, 2)], value: -.infinity), [f32(batch, time)]),
            Sample(.concat(axis: -1), [f32(batch, time), f32(batch, 3), f32(batch, time)]), Sample(.concat(axis: 0), [f32(1)]),
            Sample(.gather(axis: 0), [f32(100, 8), i64(batch, time)]), Sample(.scatter(axis: 1), [f32(2, 5), i64(3), f32(2, 3)]),
            Sample(.sort(axis: -1), [f32(batch, 3)]), Sample(.argmax(axis: 0, keepsDimensions: true), [f32(batch, 3)]),
            Sample(.argmax(axis: -1, keepsDimensions: false), [f32(batch, 3)]), Sample(.cumulativeSum(axis: 1), [i64(batch, 3)]),
        ]
        return samples
    }

    static var all: [Sample] {
        primitives + activations.map { Sample(.composite(.activation($0)), [f32(batch, 4)]) }
            + activations.dropLast().map { activation in
                let simple = Recurrence(
                    cell: .simple, activation: activation, recurrentActivation: .linear, hasBias: false, hasMask: false,
                    hasInitialState: false, goesBackwards: false, zeroesMaskedOutput: false)
                return Sample(.composite(.recurrence(simple)), [f32(batch, time, 3), f32(3, 4), f32(4, 4)])
            } + [Sample(.composite(.softmax(axis: -2)), [f32(batch, 3, 4)])] + normalizations + recurrences
            + attentions
    }

    /// A graph of one sample after the other: inputs, parameters and nodes in turns.
    static func graph(of samples: [Sample]) throws -> Graph {
        var graph = Graph(name: "samples")
        for (i, sample) in samples.enumerated() {
            var operands: [ValueID] = []
            for (k, type) in sample.inputs.enumerated() {
                operands.append(k % 2 == 0 ? try graph.addInput("x\(i)/\(k)", type) : try graph.addParameter("p\(i).\(k)", type))
            }
            graph.origin = i % 3 == 0 ? "" : "layer_\(i)"
            let outputs = try graph.appendAll(sample.op, operands)
            graph.outputs.append(NamedValue("y\(i)", outputs[outputs.count - 1]))
            graph.layerOutputs.append(NamedValue("layer_\(i)", outputs[0]))
        }
        return graph
    }
}
