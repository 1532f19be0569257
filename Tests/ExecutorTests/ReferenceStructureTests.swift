import ByteIO
import ModelIR
import Testing

@testable import Executor

/// Ops that move, reduce and order elements.
@Suite struct ReferenceStructureTests {
    static let block = real([2, 3, 2], [0, 1, 8, 11.2, 22.6, 27, 41.6, 46.9, 64, 70.1, 89.4, 96.2])

    @Test(
        arguments: [
            (Reduction.sum, [89.5, 153.3, 235.2]), (.mean, [22.375, 38.325, 58.8]), (.maximum, [46.9, 70.1, 96.2]),
            (.minimum, [0, 8, 22.6]),
            (.product, [0, 401981.44, 5247890.856]),
        ] as [(Reduction, [Double])])
    func reduce(_ reduction: Reduction, _ expected: [Double]) throws {
        expect(try evaluate(.reduce(reduction, axes: [0, -1], keepsDimensions: false), [Self.block])[0], [3], expected)
        expect(try evaluate(.reduce(reduction, axes: [0, 2], keepsDimensions: true), [Self.block])[0], [1, 3, 1], expected)
    }

    @Test func reduceEdges() throws {
        let empty = real([2, 0], [])
        for (reduction, expected) in [
            (Reduction.sum, 0), (.mean, Double.nan), (.product, 1), (.maximum, -.infinity), (.minimum, .infinity),
        ] {
            expect(try evaluate(.reduce(reduction, axes: [1], keepsDimensions: false), [empty])[0], [2], [expected, expected])
        }
        expect(try evaluate(.reduce(.sum, axes: [], keepsDimensions: false), [real([2], [3, 4])])[0], [2], [3, 4])
        expect(try evaluate(.reduce(.maximum, axes: [0], keepsDimensions: false), [real([3], [1, .nan, 2])])[0], [], [.nan])
        let flags = bools([2, 2], [1, 0, 1, 1])
        expect(try evaluate(.reduce(.any, axes: [0], keepsDimensions: false), [flags])[0], [2], [1, 1])
        expect(try evaluate(.reduce(.all, axes: [0], keepsDimensions: false), [flags])[0], [2], [1, 0])
        expect(try evaluate(.reduce(.mean, axes: [0], keepsDimensions: false), [integers([2], [-1, -2])])[0], [], [-2])
    }

    @Test func matmul() throws {
        let a = real([2, 3, 2], (0..<12).map { Double($0) * 0.5 - 2 })
        let expected = [-2.75, -2, -4.5, -1.25, 0, -2.5, 0.25, 2, -0.5, 1.75, 4, 1.5, 3.25, 6, 3.5, 4.75, 8, 5.5]
        expect(try evaluate(.matmul, [a, real([2, 3], [1, -2, 3, 0.5, 4, -1])])[0], [2, 3, 3], expected)
        // Leading dimensions broadcast on both sides.
        expect(
            try evaluate(.matmul, [real([2, 1, 1, 2], (0..<4).map(Double.init)), real([3, 2, 2], (0..<12).map(Double.init))])[0],
            [2, 3, 1, 2],
            [2, 3, 6, 7, 10, 11, 6, 11, 26, 31, 46, 51])
        expect(try evaluate(.matmul, [real([2, 0], []), real([0, 3], [])])[0], [2, 3], [0, 0, 0, 0, 0, 0])
        // Five rows: the block of four and the rest.
        expect(
            try evaluate(.matmul, [real([5, 2], (0..<10).map(Double.init)), real([2, 1], [1, 10])])[0], [5, 1], [10, 32, 54, 76, 98])
        // Infinity times zero is NaN: zeros aren't skipped.
        expect(try evaluate(.matmul, [real([1, 2], [0, 1]), real([2, 1], [.infinity, 1])])[0], [1, 1], [.nan])
    }

    @Test func movement() throws {
        let x = real([2, 3], [0, 1, 2, 3, 4, 5])
        expect(try evaluate(.reshape([3, 2]), [x])[0], [3, 2], [0, 1, 2, 3, 4, 5])
        expect(try evaluate(.transpose([1, 0]), [x])[0], [3, 2], [0, 3, 1, 4, 2, 5])
        expect(
            try evaluate(.transpose([2, 0, 1]), [real([2, 2, 2], (0..<8).map(Double.init))])[0], [2, 2, 2], [0, 2, 4, 6, 1, 3, 5, 7])
        expect(try evaluate(.broadcast([2, 2, 3]), [real([2, 1], [1, 2])])[0], [2, 2, 3], [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2])
        expect(try evaluate(.slice([SliceRange(), SliceRange(0, 3, step: 2)]), [x])[0], [2, 2], [0, 2, 3, 5])
        expect(try evaluate(.slice([SliceRange(-1), SliceRange(-2, -1)]), [x])[0], [1, 1], [4])
        expect(try evaluate(.slice([SliceRange(5, 9), SliceRange()]), [x])[0], [0, 3], [])
        expect(try evaluate(.reverse(axes: [1]), [x])[0], [2, 3], [2, 1, 0, 5, 4, 3])
        expect(try evaluate(.reverse(axes: [0, -1]), [x])[0], [2, 3], [5, 4, 3, 2, 1, 0])
        expect(
            try evaluate(.pad([PadWidth(1, 0), PadWidth(0, 2)], value: 9), [x])[0], [3, 5], [9, 9, 9, 9, 9, 0, 1, 2, 9, 9, 3, 4, 5, 9, 9])
        expect(try evaluate(.pad([PadWidth(0, 0), PadWidth(-1, 1)], value: 9), [x])[0], [2, 3], [1, 2, 9, 4, 5, 9])
        expect(try evaluate(.concat(axis: 1), [x, real([2, 1], [8, 9])])[0], [2, 4], [0, 1, 2, 8, 3, 4, 5, 9])
        expect(try evaluate(.concat(axis: 0), [bools([1], [1]), bools([0], []), bools([2], [0, 1])])[0], [3], [1, 0, 1])
        expect(try evaluate(.iota(ValueType(.i64, [2, 3]), axis: 1), [])[0], [2, 3], [0, 1, 2, 0, 1, 2])
        expect(try evaluate(.iota(ValueType(.f32, [2, 3]), axis: 0), [])[0], [2, 3], [0, 0, 0, 1, 1, 1])
    }

    @Test func gatherAndScatter() throws {
        let x = real([2, 3], [0, 1, 2, 3, 4, 5])
        expect(try evaluate(.gather(axis: 1), [x, integers([2, 2], [2, 0, 1, 1])])[0], [2, 2, 2], [2, 0, 1, 1, 5, 3, 4, 4])
        expect(try evaluate(.gather(axis: 0), [x, integers([], [1])])[0], [3], [3, 4, 5])
        expect(
            try evaluate(.scatter(axis: 1), [x, integers([3], [2, 0, 2]), real([2, 3], [10, 11, 12, 13, 14, 15])])[0], [2, 3],
            [11, 1, 12, 14, 4, 15])
        for backend in Backend.allCases {
            let error = #expect(throws: InputError.self) {
                try evaluate(.gather(axis: 0), [x, integers([2, 2], [0, 1, 2, 0])], backend: backend)
            }
            #expect(error?.message == "index 2 at [1, 0] of input 'x1' is outside 0 ..< 2")
            #expect(throws: InputError.self) { try evaluate(.gather(axis: 0), [x, integers([1], [-1])], backend: backend) }
            #expect(throws: InputError.self) {
                try evaluate(.scatter(axis: 0), [x, integers([1], [2]), real([1, 3], [0, 0, 0])], backend: backend)
            }
        }
    }

    @Test func order() throws {
        let x = real([2, 4], [3, 1, 3, 2, .nan, -1, -1, .infinity])
        let sorted = try evaluate(.sort(axis: 1), [x])
        expect(sorted[0], [2, 4], [1, 2, 3, 3, -1, -1, .infinity, .nan])
        expect(sorted[1], [2, 4], [1, 3, 0, 2, 1, 2, 3, 0])
        let columns = try evaluate(.sort(axis: 0), [integers([3, 2], [5, 1, 4, 2, 6, 0])])
        expect(columns[0], [3, 2], [4, 0, 5, 1, 6, 2])
        expect(columns[1], [3, 2], [1, 2, 0, 0, 2, 1])
        expect(try evaluate(.argmax(axis: 1, keepsDimensions: false), [x])[0], [2], [0, 0])
        expect(try evaluate(.argmax(axis: -2, keepsDimensions: true), [integers([2, 2], [1, 5, 2, 5])])[0], [1, 2], [1, 0])
        expect(
            try evaluate(.cumulativeSum(axis: 1), [real([2, 3, 2], (0..<12).map(Double.init))])[0], [2, 3, 2],
            [0, 1, 2, 4, 6, 9, 6, 7, 14, 16, 24, 27])
    }
}
