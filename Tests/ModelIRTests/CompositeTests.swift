import ModelIR
import Testing

/// Definitions against numbers that a Python program made from the published formulas.
@Suite struct CompositeTests {
    static let points: [Double] = [-4, -1, -0.3, 0, 0.3, 2, 7]

    static let activations: [(Activation, [Double])] = [
        (.linear, points),
        (.relu, [0, 0, 0, 0, 0.3, 2, 7]),
        (.relu6, [0, 0, 0, 0, 0.3, 2, 6]),
        (.rectifier(maximum: 6, negativeSlope: 0.1, threshold: 0.5), [-0.45, -0.15, -0.08, -0.05, -0.02, 2, 6]),
        (.rectifier(maximum: nil, negativeSlope: 0, threshold: 0.5), [0, 0, 0, 0, 0, 2, 7]),
        (.leakyReLU(negativeSlope: 0.3), [-1.2, -0.3, -0.09, 0, 0.3, 2, 7]),
        (.elu(alpha: 1.5), [-1.472526541667, -0.9481808382428, -0.3887726689774, 0, 0.3, 2, 7]),
        (.celu(alpha: 1.5), [-1.395774823166, -0.7298743214511, -0.271903870383, 0, 0.3, 2, 7]),
        (.selu, [-1.72589862819, -1.111330737813, -0.4556673153791, 0, 0.3152102962066, 2.101401974711, 7.354906911488]),
        (.sigmoid, [0.01798620996209, 0.26894142137, 0.4255574831883, 0.5, 0.5744425168117, 0.8807970779779, 0.9990889488056]),
        (.hardSigmoid(slope: 0.2, offset: 0.5), [0, 0.3, 0.44, 0.5, 0.56, 0.9, 1]),
        (.hardSigmoid(slope: 1.0 / 6, offset: 0.5), [0, 0.3333333333333, 0.45, 0.5, 0.55, 0.8333333333333, 1]),
        (.tanh, [-0.9993292997391, -0.7615941559558, -0.2913126124516, 0, 0.2913126124516, 0.9640275800758, 0.9999983369439]),
        (.hardTanh, [-1, -1, -0.3, 0, 0.3, 1, 1]),
        (.tanhShrink, [-3.000670700261, -0.2384058440442, -0.008687387548409, 0, 0.008687387548409, 1.035972419924, 6.000001663056]),
        (
            .softplus,
            [0.01814992791781, 0.3132616875182, 0.5543552444685, 0.6931471805599, 0.8543552444685, 2.126928011043, 7.000911466454]
        ),
        (.softsign, [-0.8, -0.5, -0.2307692307692, 0, 0.2307692307692, 0.6666666666667, 0.875]),
        (.exponential, [0.01831563888873, 0.3678794411714, 0.7408182206817, 1, 1.349858807576, 7.389056098931, 1096.633158428]),
        (.silu, [-0.07194483984837, -0.26894142137, -0.1276672449565, 0, 0.1723327550435, 1.761594155956, 6.993622641639]),
        (.hardSiLU, [0, -0.3333333333333, -0.135, 0, 0.165, 1.666666666667, 7]),
        (.mish, [-0.07259174079203, -0.3034014613741, -0.1511331771383, 0, 0.2080013723481, 1.943958959534, 6.99998837981]),
        (.gelu, [-0.0001266849673325, -0.1586552539315, -0.1146265733433, 0, 0.1853734266567, 1.954499736104, 6.999999999991]),
        (.geluTanh, [-7.024594819227e-05, -0.1588080093917, -0.1146290764572, 0, 0.1853709235428, 1.954597694088, 7]),
        (.quickGELU, [-0.004414724139581, -0.1542042340672, -0.1125158646184, 0, 0.1874841353816, 1.935658623144, 6.999953128303]),
        (
            .clippedGELU(minimum: -0.1, maximum: 1),
            [-0.0001266849673325, -0.1, -0.1, 0, 0.1853734266567, 1, 1]
        ),
        (.reluSquared, [0, 0, 0, 0, 0.09, 4, 49]),
        (
            .laplace(mean: 0.707107, deviation: 0.282095),
            [0, 7.17372605763e-10, 0.0001784233559785, 0.006094459617936, 0.07448831139481, 0.9999977102451, 1]
        ),
        (
            .sqrtSoftplus,
            [0.1347216683307, 0.5596978537731, 0.744550363957, 0.8325546111577, 0.9243133908305, 1.458399126112, 2.645923556427]
        ),
        (
            .logSigmoid,
            [-4.018149927918, -1.313261687518, -0.8543552444685, -0.6931471805599, -0.5543552444685, -0.126928011043, -0.0009114664537742]
        ),
        (.squareplus(b: 4), [0.2360679774998, 0.6180339887499, 0.8611874208078, 1, 1.161187420808, 2.414213562373, 7.14005494464]),
        (.softShrink(threshold: 0.5), [-3.5, -0.5, 0, 0, 0, 1.5, 6.5]),
        (.hardShrink(threshold: 0.5), [-4, -1, 0, 0, 0, 2, 7]),
        (.threshold(threshold: 0.25, value: 20), [20, 20, 20, 20, 0.3, 2, 7]),
        (.sparsePlus, [0, 0, 0.1225, 0.25, 0.4225, 2, 7]),
        (.sparseSigmoid, [0, 0, 0.35, 0.5, 0.65, 1, 1]),
    ]

    @Test func activationsAtKnownPoints() throws {
        for (activation, expected) in Self.activations {
            expectClose(Self.points.map(activation.evaluate), expected, tolerance: 1e-12, "\(activation)")
            let definition = try runDefinition(.activation(activation), [RealArray(shape: [7], values: Self.points)])
            #expect(definition[0].values == Self.points.map(activation.evaluate))
            #expect(activation.evaluate(row: Self.points) == definition[0].values)
        }
        #expect(Set(Self.activations.map { "\($0.0)".prefix { $0 != "(" } }).count == 33)
        #expect(Samples.activations.count { !$0.isElementwise } == 4)
    }

    @Test func activationsKeepNaN() {
        for (activation, _) in Self.activations { #expect(activation.evaluate(.nan).isNaN, "\(activation)") }
        let row = Activation.softmax.evaluate(row: [1, .nan, 2])
        #expect(row.allSatisfy { $0.isNaN })
    }

    @Test func activationsAtTheEnds() {
        let cases: [(Activation, Double, Double)] = [
            (.sigmoid, -1000, 0), (.sigmoid, 1000, 1), (.softplus, 1000, 1000), (.softplus, -1000, 0), (.logSigmoid, -1000, -1000),
            (.silu, -1000, 0), (.mish, 1000, 1000), (.gelu, -50, 0), (.geluTanh, 1e30, 1e30), (.elu(alpha: 1), -1000, -1),
            (.hardSiLU, -1000, 0), (.tanh, .infinity, 1), (.exponential, -.infinity, 0), (.relu, -.infinity, 0),
            (.hardShrink(threshold: 0.5), 0.5, 0), (.threshold(threshold: 0.25, value: 20), 0.25, 20), (.sparsePlus, -1, 0),
            (.sparsePlus, 1, 1), (.leakyReLU(negativeSlope: 0.1), 0, 0),
        ]
        for (activation, x, y) in cases { expectClose([activation.evaluate(x)], [y], tolerance: 1e-300, "\(activation) of \(x)") }
        // Where 1 + x loses x's digits.
        expectClose([Activation.elu(alpha: 1).evaluate(-1e-10)], [-9.9999999995e-11], tolerance: 1e-22)
        #expect(Activation.softplus.evaluate(-50) > 0)
    }

    @Test func rows() throws {
        let x: [Double] = [1, 2, -0.5, 0.25]
        expectClose(
            Activation.softmax.evaluate(row: x), [0.22656324748329623, 0.6158627586305137, 0.05055309369469623, 0.10702090019149402])
        expectClose(
            Activation.logSoftmax.evaluate(row: x), [-1.4847311347019678, -0.4847311347019678, -2.984731134701968, -2.234731134701968])
        expectClose(Activation.glu.evaluate(row: x), [0.3775406687981454, 1.1243530017715961])
        // As Keras 3.15 computes it: with a support of three, tau = (0.6 + 1.1 + 1.4 - 1) / 3 = 0.7; Martins and Astudillo have 2 / 15.
        expectClose(Activation.sparsemax.evaluate(row: [0.5, 0.3, -1, 0.6]), [0, 0, 0, 0])
        expectClose(Activation.sparsemax.evaluate(row: [0.25, 1]), [0, 0.375])
        expectClose(Activation.sparsemax.evaluate(row: [9, 1, 0]), [1, 0, 0])
        expectClose(Activation.softmax.evaluate(row: [1000, 1000, -1000]), [0.5, 0.5, 0])
        let two = try runDefinition(.activation(.glu), [RealArray(shape: [2, 2], values: [1, 0, 2, 0])])
        #expect(two == [RealArray(shape: [2, 1], values: [0.5, 1])])
        let sums = try runDefinition(.activation(.softmax), [RealArray(shape: [2, 2], values: [3, 3, 0, 0])])
        #expect(sums[0].values == [0.5, 0.5, 0.5, 0.5])
        #expect(Activation.softmax.evaluate(row: []).isEmpty)
    }

    static let x = RealArray(shape: [2, 3], values: [1, 2, 4, -1, 0.5, 3])
    static let scale = RealArray(shape: [3], values: [1, 0.5, 2])
    static let offset = RealArray(shape: [3], values: [0, 1, -1])

    @Test func softmax() throws {
        let rows = try runDefinition(.softmax(axis: -1), [Self.x])[0].values
        expectClose(
            rows,
            [0.04201006613406605, 0.11419519938459449, 0.8437947344813395, 0.016644518609272352, 0.07459555713221443, 0.9087599242585132])
        let columns = try runDefinition(.softmax(axis: 0), [Self.x])[0].values
        expectClose(
            columns,
            [0.8807970779778824, 0.8175744761936438, 0.7310585786300048, 0.11920292202211756, 0.18242552380635635, 0.2689414213699951])
        let large = try runDefinition(.softmax(axis: 0), [RealArray(shape: [2], values: [1e4, 1e4])])
        #expect(large[0].values == [0.5, 0.5])
    }

    @Test func layerNorm() throws {
        func norm(_ epsilon: Double, _ scale: Bool, _ offset: Bool, rms: Bool = false) throws -> [Double] {
            let norm = LayerNorm(axes: [1], epsilon: epsilon, hasScale: scale, hasOffset: offset, usesRMS: rms)
            let inputs = [Self.x] + (scale ? [Self.scale] : []) + (offset ? [Self.offset] : [])
            return try runDefinition(.layerNorm(norm), inputs)[0].values
        }
        expectClose(
            try norm(1e-3, true, true),
            [-1.0687015116389473, 0.8664123110451316, 1.6717537790973678, -1.1109637631749496, 0.8990032942568228, 1.625914349322608])
        expectClose(
            try norm(1e-3, false, false),
            [-1.0687015116389473, -0.2671753779097369, 1.3358768895486839, -1.1109637631749496, -0.2019934114863545, 1.312957174661304])
        expectClose(
            try norm(1e-3, false, true),
            [-1.0687015116389473, 0.7328246220902631, 0.3358768895486839, -1.1109637631749496, 0.7980065885136455, 0.312957174661304])
        expectClose(
            try norm(1e-6, true, false, rms: true),
            [0.3779644460117677, 0.3779644460117677, 3.0237155680941417, -0.5410017016294845, 0.13525042540737112, 3.2460102097769066])
        let two = LayerNorm(axes: [1, 2], epsilon: 1e-5, hasScale: false, hasOffset: false)
        expectClose(
            try runDefinition(.layerNorm(two), [RealArray(shape: [1, 2, 3], values: Self.x.values)])[0].values,
            [-0.3549134316858041, 0.2535095940612887, 1.4703556455554743, -1.5717594831799895, -0.6591249445593504, 0.8619326198083814])
    }

    @Test func batchNorm() throws {
        let mean = RealArray(shape: [3], values: [0.5, 1, 2])
        let variance = RealArray(shape: [3], values: [1, 0.25, 4])
        let full = BatchNorm(axis: 1, epsilon: 1e-3, hasScale: true, hasOffset: true)
        expectClose(
            try runDefinition(.batchNorm(full), [Self.x, Self.scale, Self.offset, mean, variance])[0].values,
            [0.4997501873438866, 1.998005980069749, 0.9997500468652363, -1.4992505620316599, 0.5009970099651255, -0.00012497656738186258])
        let plain = BatchNorm(axis: 1, epsilon: 1e-3, hasScale: false, hasOffset: false)
        expectClose(
            try runDefinition(.batchNorm(plain), [Self.x, mean, variance])[0].values,
            [0.4997501873438866, 1.996011960139498, 0.9998750234326181, -1.4992505620316599, -0.998005980069749, 0.49993751171630907])
        let first = BatchNorm(axis: 0, epsilon: 0.01, hasScale: false, hasOffset: true)
        expectClose(
            try runDefinition(
                .batchNorm(first),
                [
                    Self.x, RealArray(shape: [2], values: [0.25, -1]), RealArray(shape: [2], values: [0.5, 1]),
                    RealArray(shape: [2], values: [1, 4]),
                ])[0].values,
            [0.7475185951049946, 1.7425557853149838, 3.732630165734962, -1.9987523388778445, -1.2496880847194611, -0.0012476611221553524])
    }
}
