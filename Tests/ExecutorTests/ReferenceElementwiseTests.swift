import ModelIR
import Testing

@testable import Executor

/// Expected numbers come from NumPy and SciPy, or from the definition by hand.
@Suite struct ReferenceElementwiseTests {
    static let x = [-2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5]
    static let y = [0.25, 1, 2, 7.5]

    @Test(
        arguments: [
            (UnaryFunction.negate, [2.5, 1.5, 0.5, 0, -0.5, -1.5, -2.5]), (.absolute, [2.5, 1.5, 0.5, 0, 0.5, 1.5, 2.5]),
            (.sign, [-1, -1, -1, 0, 1, 1, 1]),
            (
                .exp,
                [
                    0.0820849986238988, 0.22313016014842982, 0.6065306597126334, 1, 1.6487212707001282, 4.4816890703380645,
                    12.182493960703473,
                ]
            ),
            (
                .sin,
                [
                    -0.5984721441039565, -0.9974949866040544, -0.479425538604203, 0, 0.479425538604203, 0.9974949866040544,
                    0.5984721441039565,
                ]
            ),
            (
                .cos,
                [
                    -0.8011436155469337, 0.0707372016677029, 0.8775825618903728, 1, 0.8775825618903728, 0.0707372016677029,
                    -0.8011436155469337,
                ]
            ),
            (
                .tanh,
                [
                    -0.9866142981514303, -0.9051482536448665, -0.46211715726000974, 0, 0.46211715726000974, 0.9051482536448665,
                    0.9866142981514303,
                ]
            ),
            (
                .erf,
                [
                    -0.999593047982555, -0.9661051464753108, -0.5204998778130465, 0, 0.5204998778130465, 0.9661051464753108,
                    0.999593047982555,
                ]
            ),
            (.floor, [-3, -2, -1, 0, 0, 1, 2]), (.ceil, [-2, -1, 0, 0, 1, 2, 3]), (.round, [-2, -2, 0, 0, 0, 2, 2]),
        ] as [(UnaryFunction, [Double])])
    func unary(_ function: UnaryFunction, _ expected: [Double]) throws {
        expect(try evaluate(.unary(function), [real([7], Self.x)])[0], [7], expected)
    }

    @Test(
        arguments: [
            (UnaryFunction.reciprocal, [4, 1, 0.5, 0.13333333333333333]), (.sqrt, [0.5, 1, 1.4142135623730951, 2.7386127875258306]),
            (.rsqrt, [2, 1, 0.7071067811865475, 0.3651483716701107]),
            (.log, [-1.3862943611198906, 0, 0.6931471805599453, 2.0149030205422647]),
            (.log1p, [0.22314355131420976, 0.6931471805599453, 1.0986122886681098, 2.1400661634962708]),
        ] as [(UnaryFunction, [Double])])
    func unaryOfPositives(_ function: UnaryFunction, _ expected: [Double]) throws {
        expect(try evaluate(.unary(function), [real([4], Self.y)])[0], [4], expected)
    }

    @Test func unaryOfIntegersAndBools() throws {
        expect(try evaluate(.unary(.negate), [integers([3], [5, -7, .min])])[0], [3], [-5, 7, Double(Int64.min)])
        expect(try evaluate(.unary(.absolute), [integers([2], [5, -7])])[0], [2], [5, 7])
        expect(try evaluate(.unary(.sign), [integers([3], [5, 0, -7])])[0], [3], [1, 0, -1])
        expect(try evaluate(.unary(.not), [bools([2], [1, 0])])[0], [2], [0, 1])
    }

    @Test(
        arguments: [
            (BinaryFunction.add, [10, -4, 10.5, -4.5, 4, -10, 4.5, -10.5]), (.subtract, [4, -10, 4.5, -10.5, 10, -4, 10.5, -4.5]),
            (.multiply, [21, -21, 22.5, -22.5, -21, 21, -22.5, 22.5]),
            (.divide, [2.3333333333333335, -2.3333333333333335, 2.5, -2.5, -2.3333333333333335, 2.3333333333333335, -2.5, 2.5]),
            (.maximum, [7, 3, 7.5, 3, 7, -3, 7.5, -3]), (.minimum, [3, -7, 3, -7.5, -3, -7, -3, -7.5]),
            (.remainder, [1, 2, 1.5, 1.5, -2, -1, -1.5, -1.5]),
        ] as [(BinaryFunction, [Double])])
    func binary(_ function: BinaryFunction, _ expected: [Double]) throws {
        expect(try evaluate(.binary(function), [real([1, 4], [7, -7, 7.5, -7.5]), real([2, 1], [3, -3])])[0], [2, 4], expected)
    }

    @Test func power() throws {
        expect(
            try evaluate(.binary(.power), [real([4], [2, 3, 0.5, 9]), real([4], [3, -2, 2, 0.5])])[0], [4],
            [8, 0.1111111111111111, 0.25, 3])
        expect(
            try evaluate(.binary(.power), [integers([4], [2, -3, 2, -1]), integers([4], [10, 3, -1, -3])])[0], [4], [1024, -27, 0, -1])
    }

    @Test func nanPropagatesThroughMaximumAndMinimum() throws {
        let (a, b) = (real([3], [.nan, 1, 2]), real([3], [1, .nan, 3]))
        expect(try evaluate(.binary(.maximum), [a, b])[0], [3], [.nan, .nan, 3])
        expect(try evaluate(.binary(.minimum), [a, b])[0], [3], [.nan, .nan, 2])
    }

    @Test(
        arguments: [
            (BinaryFunction.divide, [2.0, -3, 2, -3, -3, 2, -3, 2]), (.remainder, [1, 2, 2, 1, -2, -1, -1, -2]),
            (.multiply, [21, -21, 24, -24, -21, 21, -24, 24]),
        ] as [(BinaryFunction, [Double])])
    func binaryOfIntegers(_ function: BinaryFunction, _ expected: [Double]) throws {
        expect(try evaluate(.binary(function), [integers([4], [7, -7, 8, -8]), integers([2, 1], [3, -3])])[0], [2, 4], expected)
    }

    @Test func integersNeverTrap() throws {
        let (a, zero) = (integers([2], [.min, 5]), integers([1], [0]))
        expect(try evaluate(.binary(.divide), [a, zero])[0], [2], [0, 0])
        expect(try evaluate(.binary(.remainder), [a, zero])[0], [2], [0, 0])
        expect(try evaluate(.binary(.divide), [a, integers([1], [-1])])[0], [2], [Double(Int64.min), -5])
        // i32 wraps at its own width.
        let wide = Tensor(dtype: .i32, shape: [1], bytes: [0xFF, 0xFF, 0xFF, 0x7F])
        expect(try evaluate(.binary(.add), [wide, wide])[0], [1], [-2])
    }

    @Test func logic() throws {
        let (a, b) = (bools([4], [0, 0, 1, 1]), bools([4], [0, 1, 0, 1]))
        expect(try evaluate(.binary(.and), [a, b])[0], [4], [0, 0, 0, 1])
        expect(try evaluate(.binary(.or), [a, b])[0], [4], [0, 1, 1, 1])
    }

    @Test(
        arguments: [
            (Comparison.equal, [0.0, 1, 0, 0]), (.notEqual, [1, 0, 1, 1]), (.less, [1, 0, 0, 0]), (.lessOrEqual, [1, 1, 0, 0]),
            (.greater, [0, 0, 1, 0]), (.greaterOrEqual, [0, 1, 1, 0]),
        ] as [(Comparison, [Double])])
    func compare(_ comparison: Comparison, _ expected: [Double]) throws {
        expect(try evaluate(.compare(comparison), [real([4], [1, 2, 3, .nan]), real([1], [2])])[0], [4], expected)
        expect(try evaluate(.compare(comparison), [integers([3], [1, 2, 3]), integers([], [2])])[0], [3], Array(expected[..<3]))
    }

    @Test func select() throws {
        let condition = bools([2, 1], [1, 0])
        expect(
            try evaluate(.select, [condition, real([3], [1, 2, 3]), real([2, 3], [4, 5, 6, 7, 8, 9])])[0], [2, 3], [1, 2, 3, 7, 8, 9])
        expect(try evaluate(.select, [condition, integers([], [1]), integers([1], [2])])[0], [2, 1], [1, 2])
    }

    @Test func cast() throws {
        let x = real([6], [2.9, -2.9, .nan, 1e300, -.infinity, 0.5])
        expect(
            try evaluate(.cast(.i64), [x])[0], [6], [2, -2, 0, Double(Int64.max), Double(Int64.min), 0])
        expect(try evaluate(.cast(.u8), [real([3], [300, -1, 7.7])])[0], [3], [255, 0, 7])
        expect(try evaluate(.cast(.u8), [integers([2], [300, -1])])[0], [2], [44, 255])
        expect(try evaluate(.cast(.bool), [real([3], [0, -2, .nan])])[0], [3], [0, 1, 1])
        expect(try evaluate(.cast(.f32), [bools([2], [1, 0])])[0], [2], [1, 0])
    }

    @Test func constants() throws {
        expect(try evaluate(.constant(Literal(.f64, shape: [2], [1.5, -2])), [])[0], [2], [1.5, -2])
        expect(try evaluate(.constant(Literal(.i32, [7])), [])[0], [], [7])
        expect(try evaluate(.constant(Literal(.bool, [1])), [])[0], [], [1])
    }
}
