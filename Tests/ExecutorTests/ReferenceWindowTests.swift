import ModelIR
import Testing

@testable import Executor

/// Convolutions against numbers from NumPy (windows cut out and contracted by tensordot) and SciPy's correlate2d; pools by hand.
@Suite struct ReferenceWindowTests {
    @Test(
        arguments: [
            (Padding.valid, 2, [20.0, 10, 0, 12, 18, 24]), (.same, 3, [20, 10, 0, 12, 18, 24, -30, -21, -12]),
            (.causal, 3, [-16, -23, -30, 16, 14, 12, 8, 22, 36]),
        ] as [(Padding, Int, [Double])])
    func convolution1D(_ padding: Padding, _ size: Int, _ expected: [Double]) throws {
        let x = real([1, 5, 2], (0..<10).map { Double($0) - 4 })
        let kernel = real([2, 2, 3], (0..<12).map { Double($0) - 5 })
        let convolution = Convolution(strides: [2], dilations: [1], padding: padding, groups: 1)
        expect(try evaluate(.convolution(convolution), [x, kernel])[0], [1, size, 3], expected)
    }

    @Test func dilated() throws {
        let x = real([1, 5, 2], (0..<10).map { Double($0) - 4 })
        let kernel = real([2, 2, 3], (0..<12).map { Double($0) - 5 })
        let convolution = Convolution(strides: [1], dilations: [2], padding: .causal, groups: 1)
        expect(
            try evaluate(.convolution(convolution), [x, kernel])[0], [1, 5, 3],
            [-16, -23, -30, -6, -9, -12, 30, 24, 18, 26, 28, 30, 22, 32, 42])
    }

    @Test(
        arguments: [
            (Padding.valid, [1, 2, 2, 4], [-7.0, 10, -20, -8, 4, -22, 10, 6, 10, -7, 6, 6, -7, 10, -20, -8]),
            (.same, [1, 2, 3, 4], [-7, 10, -20, -8, 4, -22, 10, 6, 5, 7, -3, -5, 10, -7, 6, 6, -7, 10, -20, -8, 3, -5, 4, 7]),
        ] as [(Padding, [Int], [Double])])
    func groups2D(_ padding: Padding, _ shape: [Int], _ expected: [Double]) throws {
        let x = real([1, 4, 3, 4], (0..<48).map { Double($0 % 7) - 3 })
        let kernel = real([2, 2, 2, 4], (0..<32).map { Double($0 % 5) - 2 })
        let convolution = Convolution(strides: [2, 1], dilations: [1, 1], padding: padding, groups: 2)
        expect(try evaluate(.convolution(convolution), [x, kernel])[0], shape, expected)
    }

    @Test func againstCorrelate2D() throws {
        let x = real(
            [1, 6, 5, 1],
            [2, 1, 0, -2, -1, -3, -3, -3, -2, 2, 1, 3, 0, 1, 3, 2, 1, 0, 0, 3, -2, 2, 1, -3, -1, 3, 0, -3, 2, 2])
        let kernel = real([3, 2, 1, 1], [2, -2, -3, 3, -3, 0])
        let convolution = Convolution(strides: [1, 1], dilations: [1, 1], padding: .valid, groups: 1)
        expect(
            try evaluate(.convolution(convolution), [x, kernel])[0], [1, 4, 4, 1],
            [-1, -7, 7, 7, 0, -12, 1, -2, -1, -3, -5, 14, 5, -1, -3, -6])
    }

    @Test func emptyAndTooShort() throws {
        let kernel = real([3, 1, 2], [1, 2, 3, 4, 5, 6])
        let valid = Convolution(strides: [1], dilations: [1], padding: .valid, groups: 1)
        expect(try evaluate(.convolution(valid), [real([2, 2, 1], [1, 2, 3, 4]), kernel])[0], [2, 0, 2], [])
        expect(try evaluate(.convolution(valid), [real([0, 5, 1], []), kernel])[0], [0, 3, 2], [])
        let same = Convolution(strides: [1], dilations: [1], padding: .same, groups: 1)
        expect(try evaluate(.convolution(same), [real([2, 0, 1], []), kernel])[0], [2, 0, 2], [])
    }

    @Test func pools() throws {
        let x = real([1, 5, 1], [1, 2, 3, 4, -9])
        func pool(_ kind: Pool.Kind, _ padding: Padding, _ stride: Int = 2) throws -> (shape: [Int], values: [Double]) {
            try evaluate(.pool(Pool(kind: kind, sizes: [2], strides: [stride], padding: padding)), [x])[0]
        }
        expect(try pool(.maximum, .valid), [1, 2, 1], [2, 4])
        expect(try pool(.maximum, .same), [1, 3, 1], [2, 4, -9])
        expect(try pool(.average, .valid), [1, 2, 1], [1.5, 3.5])
        // The last window holds one element and one of padding, which isn't counted.
        expect(try pool(.average, .same), [1, 3, 1], [1.5, 3.5, -9])
        expect(try pool(.average, .same, 1), [1, 5, 1], [1.5, 2.5, 3.5, -2.5, -9])
        let plane = real([1, 3, 3, 1], [0, 1, 2, 3, 4, 5, 6, 7, .nan])
        let square = Pool(kind: .maximum, sizes: [2, 2], strides: [1, 1], padding: .valid)
        expect(try evaluate(.pool(square), [plane])[0], [1, 2, 2, 1], [4, 5, 7, .nan])
        // Three rows by windows of 3 and stride 2 under same padding: one of padding on each side.
        let average = Pool(kind: .average, sizes: [3, 3], strides: [2, 2], padding: .same)
        expect(
            try evaluate(.pool(average), [real([1, 3, 3, 1], (0..<9).map(Double.init))])[0], [1, 2, 2, 1], [2, 3, 5, 6])
    }
}
