import CKernels
import Glibc
import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// The C kernels at every instruction-set level of this machine.
    @Suite(.serialized) struct VectorKernelTests {
        static let levels = 0...2

        /// Those that differ in products of bf16.
        static let halfLevels = 2...3

        /// Runs `body` with the level forced; skips levels that the machine lacks.
        static func at(_ level: Int, _ body: () throws -> Void) rethrows {
            guard ck_math_level(Int32(level)) == level else { return }
            defer { _ = ck_math_level(-1) }
            try body()
        }

        static let activations: [Activation] = [
            .linear, .relu, .relu6, .rectifier(maximum: 2, negativeSlope: 0.3, threshold: 0.5),
            .rectifier(maximum: nil, negativeSlope: 0, threshold: -1), .leakyReLU(negativeSlope: 0.2), .elu(alpha: 0.7), .celu(alpha: 1.3),
            .selu,
            .sigmoid, .hardSigmoid(slope: 0.2, offset: 0.5), .tanh, .hardTanh, .tanhShrink, .softplus, .softsign, .exponential, .silu,
            .hardSiLU,
            .mish, .gelu, .geluTanh, .quickGELU, .clippedGELU(minimum: -0.1, maximum: 3), .reluSquared,
            .laplace(mean: 0.707107, deviation: 0.282095), .sqrtSoftplus, .logSigmoid, .squareplus(b: 4), .softShrink(threshold: 0.5),
            .hardShrink(threshold: 0.5),
            .threshold(threshold: 0.3, value: -2), .sparsePlus, .sparseSigmoid, .softmax, .logSoftmax, .sparsemax, .glu,
        ]

        /// What an error is held against where f(x) is near zero: its definition rounds terms of about this size in f32.
        static func floor(_ activation: Activation, _ x: Double) -> Double {
            if case .clippedGELU = activation { return 0.1 * min(abs(x), 8) }
            if activation == .gelu || activation == .geluTanh { return 0.1 * min(abs(x), 8) }
            if case .hardSigmoid = activation { return 0.5 }
            if case .laplace = activation { return 0.5 }
            return activation == .tanhShrink ? 0.5 : 1e-3
        }

        /// Within 1.2e-6 of the greater of |f(x)| and `floor`.
        @Test(arguments: activations)
        func elementwiseActivation(_ activation: Activation) throws {
            guard let function = ck_activation(activation) else { return }
            var random = SeededGenerator(seed: 3)
            let x: [Float] = (0..<20_003).map { i in
                i % 4 == 0
                    ? Float(random.uniform(-100..<100)) : i % 4 == 1 ? Float(random.uniform(-0.01..<0.01)) : Float(random.uniform(-6..<6))
            }
            for level in Self.levels {
                Self.at(level) {
                    var y = [Float](repeating: 0, count: x.count)
                    ck_math_table().pointee.activate(function, x.count, x, &y)
                    var worst = 0.0
                    for (a, b) in zip(x, y) {
                        let expected = activation.evaluate(Double(a))
                        if Double(b) == Double(Float(expected)) { continue }
                        let scale = max(abs(expected), Self.floor(activation, Double(a)))
                        worst = max(worst, abs(Double(b) - expected) / scale)
                    }
                    #expect(worst < 1.2e-6, "level \(level): \(worst)")
                }
            }
        }

        @Test(arguments: activations)
        func extremes(_ activation: Activation) throws {
            guard let function = ck_activation(activation) else { return }
            let x: [Float] = [.nan, .infinity, -.infinity, 1e30, -1e30, 0, -0.0, 1e-37]
            for level in Self.levels {
                Self.at(level) {
                    var y = [Float](repeating: 0, count: x.count)
                    ck_math_table().pointee.activate(function, x.count, x, &y)
                    for (a, b) in zip(x, y) {
                        let expected = Float(activation.evaluate(Double(a)))
                        // Infinity times zero on one side may be a limit on the other: only finite values are the definition's.
                        if expected.isNaN && !a.isNaN { continue }
                        #expect(
                            b == expected || b.isNaN && expected.isNaN || abs(b - expected) <= 1e-6 * abs(expected),
                            "level \(level): \(activation) of \(a) is \(b), not \(expected)")
                    }
                }
            }
        }

        /// exp, tanh and erf within 2 units in the last place, sigmoid within 3.
        @Test(arguments: levels)
        func unitsInTheLastPlace(_ level: Int) {
            var random = SeededGenerator(seed: 5)
            let x = (0..<100_000).map { i in Float(random.uniform(i % 2 == 0 ? -90..<90 : -4..<4)) }
            Self.at(level) {
                func check(_ name: String, _ bound: Double, _ kernel: (Int, [Float], inout [Float]) -> Void, _ exact: (Double) -> Double) {
                    var y = [Float](repeating: 0, count: x.count)
                    kernel(x.count, x, &y)
                    var worst = 0.0
                    for (a, b) in zip(x, y) {
                        let expected = exact(Double(a))
                        guard abs(expected) > Double(Float.leastNormalMagnitude), abs(expected) < 3e38 else { continue }
                        worst = max(worst, abs(Double(b) - expected) / Double(Float(expected).ulp))
                    }
                    #expect(worst < bound, "\(name) at level \(level): \(worst)")
                }
                let table = ck_math_table().pointee
                check("exp", 2, { table.unary(Int32(CK_EXP), $0, $1, &$2) }, exp)
                check("tanh", 2, { table.unary(Int32(CK_TANH_OF), $0, $1, &$2) }, tanh)
                check("erf", 2, { table.unary(Int32(CK_ERF), $0, $1, &$2) }, erf)
                check(
                    "sigmoid", 3, { table.activate(ck_activation(kind: Int32(CK_SIGMOID), a: 0, b: 0, c: 0), $0, $1, &$2) },
                    { 1 / (1 + exp(-$0)) })
            }
        }

        @Test(arguments: levels)
        func rowKernelsAndCells(_ level: Int) throws {
            var random = SeededGenerator(seed: 6)
            try Self.at(level) {
                for width in [1, 15, 16, 17, 100] {
                    let x = random.tensor([5, width], scale: 4)
                    try expectFastMatches(.composite(.softmax(axis: 1)), [x], tolerance: 2e-6)
                    try expectFastMatches(.composite(.activation(.logSoftmax)), [x], tolerance: 2e-6)
                    try expectFastMatches(.composite(.activation(.sparsemax)), [x])
                    for reduction in [Reduction.sum, .maximum, .minimum] {
                        for axis in 0...1 { try expectFastMatches(.reduce(reduction, axes: [axis], keepsDimensions: false), [x]) }
                    }
                    for function in [BinaryFunction.add, .maximum, .divide] {
                        try expectFastMatches(.binary(function), [x, random.tensor([5, 1])])
                    }
                    for function in [UnaryFunction.floor, .ceil, .round, .sqrt, .absolute] {
                        try expectFastMatches(.unary(function), [Tensor(try x.floats().map(abs), shape: x.shape)])
                    }
                    let norm = LayerNorm(axes: [1], epsilon: 1e-3, hasScale: true, hasOffset: true)
                    try expectFastMatches(
                        .composite(.layerNorm(norm)), [x, random.tensor([width]), random.tensor([width])], tolerance: 1e-5)
                }
                try expectFastMatches(.composite(.activation(.glu)), [random.tensor([5, 34])], tolerance: 2e-6)
                for cell in [Recurrence.Cell.simple, .lstm, .gru(resetAfter: true), .gru(resetAfter: false)] {
                    let recurrence = Recurrence(
                        cell: cell, activation: .tanh, recurrentActivation: .sigmoid, hasBias: false, hasMask: false,
                        hasInitialState: false,
                        goesBackwards: false, zeroesMaskedOutput: false)
                    let width = cell.gateCount * 21
                    let inputs = [random.tensor([6, 4, 5]), random.tensor([5, width]), random.tensor([21, width], scale: 0.2)]
                    try expectFastMatches(.composite(.recurrence(recurrence)), inputs, constants: [1, 2], tolerance: 3e-6)
                }
            }
        }
    }
}
