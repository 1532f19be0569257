import CKernels
import ModelIR
import Testing

@testable import Executor

/// Every kernel of the fast backend against the reference backend on random numbers: odd sizes, empty ones, more than one batch.
@Suite(.serialized) struct FastKernelTests {
    var random = SeededGenerator(seed: 7)

    @Test(arguments: [
        ([1, 1], [1, 1]), ([7, 13], [13, 5]), ([33, 77], [77, 129]), ([2, 3, 5, 7], [7, 4]), ([2, 3, 5, 7], [2, 3, 7, 4]),
        ([2, 1, 5, 7], [1, 3, 7, 4]), ([4, 5, 6], [1, 6, 3]), ([5, 6], [4, 6, 3]), ([0, 3], [3, 2]), ([3, 0], [0, 2]), ([3, 2], [2, 0]),
        ([64, 300], [300, 200]), ([20, 1700], [1700, 70]), ([400, 30], [30, 50]), ([17, 769], [769, 33]),
    ])
    mutating func matmul(_ a: [Int], _ b: [Int]) throws {
        let inputs = [random.tensor(a), random.tensor(b)]
        try expectFastMatches(.matmul, inputs, tolerance: 4e-6)
        try expectFastMatches(.matmul, inputs, constants: [1], tolerance: 4e-6)
        try expectFastMatches(.matmul, inputs, constants: [1], isRepeated: true, tolerance: 4e-6)
    }

    @Test mutating func unary() throws {
        for function in UnaryFunction.allCases where function != .not {
            for shape in [[1], [0], [3, 37], [5, 4001]] {
                let x = random.tensor(shape, scale: 2)
                let isPositive = [UnaryFunction.sqrt, .rsqrt, .log, .log1p].contains(function)
                let input = isPositive ? Tensor(try x.floats().map { abs($0) + 0.01 }, shape: shape) : x
                try expectFastMatches(.unary(function), [input], tolerance: 2e-6)
            }
        }
        try expectFastMatches(.unary(.not), [bools([3], [1, 0, 1])])
        try expectFastMatches(.unary(.negate), [integers([3], [1, 0, -4])])
        let odd = Tensor([Float.nan, .infinity, -.infinity, -0.0, 0, 3e38, -3e38, 1e-38], shape: [8])
        for function in [UnaryFunction.exp, .tanh, .erf, .absolute, .negate, .floor, .round, .sign] {
            try expectFastMatches(.unary(function), [odd])
        }
    }

    static let pairs: [([Int], [Int])] = [
        ([5, 7], [5, 7]), ([5, 7], [7]), ([5, 1], [1, 7]), ([2, 3, 4, 5], [3, 1, 5]), ([], [3, 2]), ([0, 3], [1, 3]), ([300, 200], [200]),
        ([300, 200], [300, 1]), ([40000], [40000]), ([70000, 2], [70000, 1]), ([140000, 1, 2], [140000, 2, 1]),
    ]

    @Test(arguments: pairs)
    mutating func binary(_ a: [Int], _ b: [Int]) throws {
        let inputs = [random.tensor(a, scale: 3), random.tensor(b, scale: 3)]
        for function in BinaryFunction.allCases where function != .and && function != .or && function != .power {
            try expectFastMatches(.binary(function), inputs)
        }
        try expectFastMatches(.binary(.power), [Tensor(try inputs[0].floats().map(abs), shape: a), inputs[1]])
        for comparison in Comparison.allCases { try expectFastMatches(.compare(comparison), inputs) }
        let whole = try inputs.map { Tensor(try $0.floats().map { Int64($0) }, shape: $0.shape) }
        for function in [BinaryFunction.add, .subtract, .multiply, .divide, .maximum, .minimum, .remainder] {
            try expectFastMatches(.binary(function), whole)
        }
        for comparison in Comparison.allCases { try expectFastMatches(.compare(comparison), whole) }
        let flags = try inputs.map { bools($0.shape, try $0.floats().map { $0 > 0 ? 1 : 0 }) }
        try expectFastMatches(.binary(.and), flags)
        try expectFastMatches(.binary(.or), flags)
        try expectFastMatches(.compare(.equal), flags)
        try expectFastMatches(.select, [flags[0], inputs[1], inputs[0]])
        try expectFastMatches(.select, [flags[1], whole[0], whole[1]])
        try expectFastMatches(.select, [flags[1], flags[0], flags[1]])
    }

    @Test func extremesOfMaximum() throws {
        let (a, b) = (Tensor([Float.nan, 1, -1, .infinity], shape: [4]), Tensor([Float(1), .nan, -2, 0], shape: [4]))
        try expectFastMatches(.binary(.maximum), [a, b])
        try expectFastMatches(.binary(.minimum), [a, b])
    }

    @Test mutating func cast() throws {
        let x = random.tensor([3, 50], scale: 300)
        let kinds = [x, try Tensor(x.floats().map { Int64($0) }, shape: x.shape), bools([3], [0, 1, 1])]
        for input in kinds {
            for dtype in [DType.f32, .bf16, .f64, .i64, .i8, .u8, .bool] { try expectFastMatches(.cast(dtype), [input]) }
        }
    }

    @Test(arguments: [
        [5, 7], [2, 3, 4, 5], [3, 1000], [1000, 3], [0, 3], [3, 0], [1, 5, 1], [1], [3, 1, 70], [40, 500],
    ])
    mutating func reduce(_ shape: [Int]) throws {
        let x = random.tensor(shape)
        for reduction in [Reduction.sum, .mean, .maximum, .minimum, .product] {
            for bits in 0..<(1 << shape.count) {
                let axes = shape.indices.filter { bits >> $0 & 1 == 1 }
                try expectFastMatches(.reduce(reduction, axes: axes, keepsDimensions: bits % 2 == 0), [x], tolerance: 3e-6)
            }
        }
        try expectFastMatches(.reduce(.any, axes: [0], keepsDimensions: false), [bools(shape, try x.floats().map { $0 > 1 ? 1 : 0 })])
        let odd = Tensor([Float.nan, 1, 2, .infinity, 3, -1], shape: [2, 3])
        for axis in 0...1 { try expectFastMatches(.reduce(.maximum, axes: [axis], keepsDimensions: false), [odd]) }
    }

    @Test mutating func movement() throws {
        for shape in [[2, 3, 4], [1, 300, 200], [0, 3, 2]] {
            let x = random.tensor(shape)
            let all = [
                x, try Tensor(x.floats().map { Int64($0 * 100) }, shape: shape), bools(shape, try x.floats().map { $0 > 0 ? 1 : 0 }),
            ]
            for input in all {
                for permutation in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                    try expectFastMatches(.transpose(permutation), [input])
                }
                try expectFastMatches(.slice([SliceRange(), SliceRange(1, nil, step: 2), SliceRange(0, -1)]), [input])
                try expectFastMatches(.reverse(axes: [0, 2]), [input])
                try expectFastMatches(.broadcast(Shape(fixed: [2] + shape)), [input])
                try expectFastMatches(.concat(axis: 1), [input, input, input])
                try expectFastMatches(.reshape(Shape(fixed: [shape[0] * 2, shape[1], shape[2] / 2])), [input])
                try expectFastMatches(.pad([PadWidth(1, 0), PadWidth(0, 2), PadWidth(-1, 1)], value: 1), [input])
                try expectFastMatches(.gather(axis: 1), [input, integers([2, 2], [0, 2, 1, 0])])
                try expectFastMatches(.sort(axis: 1), [input])
                try expectFastMatches(.argmax(axis: 1, keepsDimensions: true), [input])
                try expectFastMatches(
                    .scatter(axis: 1), [input, integers([0], []), Tensor(dtype: input.dtype, shape: [shape[0], 0, shape[2]], bytes: [])])
            }
            try expectFastMatches(.cumulativeSum(axis: 1), [x], tolerance: 1e-5)
        }
    }

    @Test(arguments: [
        (Convolution(strides: [1], dilations: [1], padding: .causal, groups: 1), [2, 9, 3], [3, 3, 5]),
        (Convolution(strides: [2], dilations: [2], padding: .same, groups: 1), [2, 9, 3], [3, 3, 5]),
        (Convolution(strides: [2, 1], dilations: [1, 2], padding: .same, groups: 1), [2, 9, 8, 3], [3, 2, 3, 5]),
        (Convolution(strides: [1, 1], dilations: [1, 1], padding: .valid, groups: 2), [2, 9, 8, 4], [3, 2, 2, 6]),
        (Convolution(strides: [1, 1], dilations: [1, 1], padding: .same, groups: 4), [2, 9, 8, 4], [3, 3, 1, 4]),
        (Convolution(strides: [1, 1], dilations: [1, 1], padding: .same, groups: 4), [2, 9, 8, 4], [3, 3, 1, 12]),
        (Convolution(strides: [1, 1, 1], dilations: [1, 1, 1], padding: .valid, groups: 1), [1, 5, 4, 3, 2], [2, 2, 2, 2, 3]),
        (Convolution(strides: [1], dilations: [1], padding: .valid, groups: 1), [2, 2, 3], [3, 3, 5]),
        (Convolution(strides: [1, 1], dilations: [1, 1], padding: .same, groups: 1), [1, 70, 70, 40], [3, 3, 40, 16]),
    ])
    mutating func convolution(_ convolution: Convolution, _ x: [Int], _ kernel: [Int]) throws {
        try expectFastMatches(.convolution(convolution), [random.tensor(x), random.tensor(kernel)], constants: [1], tolerance: 4e-6)
    }

    @Test mutating func pools() throws {
        for kind in [Pool.Kind.maximum, .average] {
            for padding in [Padding.valid, .same] {
                let plane = Pool(kind: kind, sizes: [3, 2], strides: [2, 2], padding: padding)
                try expectFastMatches(.pool(plane), [random.tensor([2, 9, 8, 5])])
                try expectFastMatches(.pool(plane), [random.tensor([0, 9, 8, 5])])
                try expectFastMatches(.pool(Pool(kind: kind, sizes: [3], strides: [1], padding: padding)), [random.tensor([3, 100, 33])])
            }
        }
    }

    @Test mutating func norms() throws {
        for width in [1, 5, 64, 77] {
            let x = random.tensor([3, 2, width], scale: 3)
            for (scale, offset, rms) in [
                (true, true, false), (true, false, true), (false, true, false), (false, false, false), (false, false, true),
            ] {
                let norm = LayerNorm(axes: [2], epsilon: 1e-5, hasScale: scale, hasOffset: offset, usesRMS: rms)
                let parameters = (0..<((scale ? 1 : 0) + (offset ? 1 : 0))).map { _ in random.tensor([width]) }
                try expectFastMatches(.composite(.layerNorm(norm)), [x] + parameters, constants: [1, 2], tolerance: width == 1 ? 1 : 3e-6)
                for axis in 0...2 {
                    let batch = BatchNorm(axis: axis, epsilon: 1e-3, hasScale: scale, hasOffset: offset)
                    let size = x.shape[axis]
                    let statistics = (0..<((scale ? 1 : 0) + (offset ? 1 : 0) + 1)).map { _ in random.tensor([size]) }
                    let variance = Tensor(try random.tensor([size]).floats().map { $0 * $0 }, shape: [size])
                    try expectFastMatches(
                        .composite(.batchNorm(batch)), [x] + statistics + [variance], constants: [1, 2, 3, 4], tolerance: 3e-6)
                }
            }
        }
        // Axes that aren't the last ones: by the definition.
        let middle = LayerNorm(axes: [0, 1], epsilon: 1e-5, hasScale: true, hasOffset: false)
        try expectFastMatches(.composite(.layerNorm(middle)), [random.tensor([3, 4, 5]), random.tensor([3, 4])], tolerance: 3e-6)
        for axis in 0...1 { try expectFastMatches(.composite(.softmax(axis: axis)), [random.tensor([7, 33], scale: 5)], tolerance: 2e-6) }
    }
}
