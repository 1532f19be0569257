import Glibc
import ModelIR
import Testing

@testable import Executor

/// Composites by their definitions, against NumPy on inputs that both sides make by one formula.
@Suite struct ReferenceCompositeTests {
    /// sin(0.37 i + phase)
    static func wave(_ shape: [Int], _ phase: Double, scale: Double = 1) -> Tensor {
        real(shape, (0..<shape.reduce(1, *)).map { scale * sin(0.37 * Double($0) + phase) })
    }

    static let x = wave([2, 4], 0.1, scale: 3)

    @Test func softmax() throws {
        expect(
            try evaluate(.composite(.softmax(axis: -1)), [Self.x])[0], [2, 4],
            [
                0.04333436560354, 0.12497385923602, 0.2998778104225, 0.53181396473794, 0.4097589786485, 0.33115128833238, 0.18353227222778,
                0.07555746079134,
            ])
        expect(
            try evaluate(.composite(.softmax(axis: 0)), [Self.x])[0], [2, 4],
            [
                0.0629513680804, 0.19337613530922, 0.50930768159614, 0.81722383367227, 0.9370486319196, 0.80662386469078, 0.49069231840386,
                0.18277616632773,
            ])
    }

    @Test func norms() throws {
        let (scale, offset) = (Self.wave([4], 0.2), Self.wave([4], 0.3))
        let layer = LayerNorm(axes: [1], epsilon: 1e-3, hasScale: true, hasOffset: true)
        expect(
            try evaluate(.composite(.layerNorm(layer)), [Self.x, scale, offset])[0], [2, 4],
            [
                0.00710563232729, 0.44093394341062, 1.33910632171513, 2.14177626650295, 0.50047729477078, 1.00247332139799,
                0.70670810901583,
                -0.50641935233192,
            ])
        let rms = LayerNorm(axes: [1], epsilon: 1e-3, hasScale: true, hasOffset: false, usesRMS: true)
        expect(
            try evaluate(.composite(.layerNorm(rms)), [Self.x, scale])[0], [2, 4],
            [
                0.03092449524545, 0.38105069685253, 0.93760046800476, 1.40946328112582, 0.24688697064781, 0.62298896152025,
                0.73486555056363,
                0.5239982466241,
            ])
        let batch = BatchNorm(axis: 1, epsilon: 1e-3, hasScale: true, hasOffset: true)
        let variance = real([4], try Self.wave([4], 0.5).doubles().map { $0 * $0 })
        expect(
            try evaluate(.composite(.batchNorm(batch)), [Self.x, scale, offset, Self.wave([4], 0.4), variance])[0], [2, 4],
            [
                0.25833980658758, 1.0883415470974, 1.99337670697961, 2.73510315691619, 1.37492195709463, 2.09583271474203, 1.96160131787664,
                1.28770747565271,
            ])
    }

    @Test func activations() throws {
        func row(_ activation: Activation) throws -> [Double] { try evaluate(.composite(.activation(activation)), [Self.x])[0].values }
        let gelu = try row(.gelu)
        for (a, b) in zip(gelu, [0.18500753678626, 1.24028249994367, 2.20546047534978, 2.79982683698258]) { #expect(abs(a - b) < 1e-12) }
        expect(
            try evaluate(.composite(.activation(.glu)), [Self.x])[0], [2, 2],
            [0.27052517953223, 1.28127611153732, 2.69974245502683, 2.19432954346218])
        let nan = real([1], [.nan])
        for activation in [Activation.relu, .relu6, .hardTanh, .hardSigmoid(slope: 0.2, offset: 0.5)] {
            expect(try evaluate(.composite(.activation(activation)), [nan])[0], [1], [.nan])
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var cell: Recurrence.Cell
        var mask = false
        var backwards = false
        var initial = false
        var zeroes = false
        var bias = true
        var expected: [[Double]]
        var testDescription: String { name }
    }

    static let cases = [
        Case(
            name: "simple", cell: .simple,
            expected: [
                [
                    0.64981831745458, 0.82982696696634, 0.97577192112411, 0.99684140299314, 0.98624525566837, 0.99883363675439,
                    0.71006149800211,
                    0.90745463626085, 0.82374258691559, 0.94701226037917, 0.5624058871019, 0.75512316978138,
                ], [0.98624525566837, 0.99883363675439, 0.5624058871019, 0.75512316978138],
            ]),
        Case(
            name: "lstm from states", cell: .lstm, initial: true,
            expected: [
                [
                    0.23662804097346, 0.23014108861633, 0.3659085318998, 0.29967497967517, 0.48876078223361, 0.39025987623053,
                    0.53162597509867,
                    0.43051548718412, 0.62929135865113, 0.52824392792553, 0.6373335225366, 0.54956436966325,
                ], [0.48876078223361, 0.39025987623053, 0.6373335225366, 0.54956436966325],
                [1.12049667012081, 1.05833515556449, 1.71683269599849, 1.85721788725939],
            ]),
        Case(
            name: "lstm masked, backwards", cell: .lstm, mask: true, backwards: true,
            expected: [
                [
                    0.27605831991837, 0.21785632024805, 0.27605831991837, 0.21785632024805, 0.3289404092721, 0.25864121504023,
                    0.30212089436626,
                    0.28398175453707, 0.48625182162186, 0.43090421592614, 0.48625182162186, 0.43090421592614,
                ], [0.3289404092721, 0.25864121504023, 0.48625182162186, 0.43090421592614],
                [0.68520855041881, 0.59761404149565, 0.90066094724973, 0.98841744744218],
            ]),
        Case(
            name: "gru masked with zeros", cell: .gru(resetAfter: true), mask: true, zeroes: true,
            expected: [
                [
                    0.04146596604326, -0.02986754384889, 0, 0, 0.12759204055116, -0.0039332622596, 0, 0, 0.19228186529937, 0.13752785770712,
                    0.30477246582344, 0.25968146549742,
                ], [0.12759204055116, -0.0039332622596, 0.30477246582344, 0.25968146549742],
            ]),
        Case(
            name: "gru reset before, no bias, from states", cell: .gru(resetAfter: false), initial: true, bias: false,
            expected: [
                [
                    0.27718988742958, 0.37069525061326, 0.23425576613688, 0.20623764590127, 0.27686506953469, 0.16797118434915,
                    0.85758936374226,
                    0.83542788423168, 0.69259960762641, 0.65184943448566, 0.36330824169279, 0.42233147452077,
                ], [0.27686506953469, 0.16797118434915, 0.36330824169279, 0.42233147452077],
            ]),
        Case(
            name: "gru reset before", cell: .gru(resetAfter: false),
            expected: [
                [
                    0.20765195447769, 0.12317151669357, 0.33903448719936, 0.19911821808589, 0.44827648031616, 0.27234771865899,
                    0.26879181416215,
                    0.17379078304022, 0.50960671368037, 0.36624541759876, 0.64568172612942, 0.52514711616679,
                ], [0.44827648031616, 0.27234771865899, 0.64568172612942, 0.52514711616679],
            ]),
    ]

    @Test(arguments: cases)
    func recurrence(_ test: Case) throws {
        let width = test.cell.gateCount * 2
        let recurrence = Recurrence(
            cell: test.cell, activation: .tanh, recurrentActivation: .sigmoid, hasBias: test.bias, hasMask: test.mask,
            hasInitialState: test.initial, goesBackwards: test.backwards, zeroesMaskedOutput: test.zeroes)
        var inputs = [Self.wave([2, 3, 2], 0.1), Self.wave([2, width], 0.2), Self.wave([2, width], 0.3)]
        if test.bias { inputs.append(Self.wave(test.cell == .gru(resetAfter: true) ? [2, width] : [width], 0.4)) }
        if test.mask { inputs.append(bools([2, 3], [1, 0, 1, 0, 1, 1])) }
        if test.initial {
            inputs.append(Self.wave([2, 2], 0.5))
            if test.cell == .lstm { inputs.append(Self.wave([2, 2], 0.6)) }
        }
        let outputs = try evaluate(.composite(.recurrence(recurrence)), inputs)
        #expect(outputs.count == test.expected.count)
        for (i, expected) in test.expected.enumerated() { expect(outputs[i], i == 0 ? [2, 3, 2] : [2, 2], expected) }
    }
}
