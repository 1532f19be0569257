import CKernels
import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// Threads' shares of a product by our own kernel.
    @Suite(.serialized) struct PanelProductTests {
        /// Rows, inner size and columns: less than a tile; shares that begin within a panel; several blocks of rows; fewer tiles than threads; half a
        /// panel at the end; tiles of few operations, of which several are taken at a time.
        static let shapes = [(1, 5, 3), (7, 100, 130), (40, 33, 96), (195, 70, 41), (400, 64, 35), (12, 800, 20), (97, 3, 300)]

        /// A product in f32, or in pairs of bf16, made by calling the kernel for `threads` of `count` threads, one after the other.
        private func product(_ shape: (m: Int, k: Int, n: Int), _ precision: Precision, calling threads: [Int], of count: Int) throws
            -> [Float]
        {
            var random = SeededGenerator(seed: 3)
            let kernel = try #require(precision == .f32 ? ck_math_table().pointee.multiply : ck_product_of_pairs().run)
            let matmul = MatmulShape(m: shape.m, k: shape.k, n: shape.n)
            var left = (0..<shape.m * shape.k).map { _ in Float(random.normal()) }
            var right = (0..<shape.k * shape.n).map { _ in Float(random.normal()) }
            let packed = Allocation(byteCount: PanelProduct.packedByteCount(matmul, precision))
            PanelProduct.pack(&right, matmul, precision, to: packed.pointer, ThreadTeam(count: 1))
            var task = ck_product()
            (task.rows, task.inner, task.columns) = (shape.m, shape.k, shape.n)
            task.left_step = PanelProduct.leftStep(shape.k, rows: shape.m, precision)
            if precision == .bf16 { task.inner = PanelProduct.inner(shape.k, precision) }
            task.result_step = shape.n
            // Rows apart by their step, rounded where pairs are asked for, with zeros past the last column.
            let copied = Allocation(byteCount: max(64, (shape.m + Int(ck_product_of_pairs().spare_rows)) * task.left_step * 4))
            let floats = copied.pointer.bindMemory(to: Float.self, capacity: copied.byteCount / 4)
            floats.update(repeating: 0, count: copied.byteCount / 4)
            for row in 0..<shape.m {
                left.withUnsafeMutableBufferPointer { left in
                    guard let from = left.baseAddress.map({ $0 + row * shape.k }) else { return }
                    let to = floats + row * task.left_step
                    if precision == .f32 {
                        to.update(from: from, count: shape.k)
                    } else {
                        to.withMemoryRebound(to: UInt16.self, capacity: shape.k) {
                            ck_math_table().pointee.round_to_bf16(shape.k, from, $0)
                        }
                    }
                }
            }
            var result = [Float](repeating: .nan, count: shape.m * shape.n)
            var taken = [UInt64](repeating: 0, count: 8 * count)
            result.withUnsafeMutableBufferPointer { result in
                taken.withUnsafeMutableBufferPointer { taken in
                    task.left = UnsafePointer(floats)
                    task.weights = UnsafePointer(packed.pointer.assumingMemoryBound(to: Float.self))
                    task.activation.kind = Int32(CK_LINEAR)
                    task.result = result.baseAddress
                    task.taken = taken.baseAddress
                    for thread in threads { kernel(&task, thread, count) }
                }
            }
            withExtendedLifetime((packed, copied)) {}
            return result
        }

        /// The same in double precision, of operands that are rounded where pairs are.
        private func expected(_ shape: (m: Int, k: Int, n: Int), _ precision: Precision) -> [Double] {
            var random = SeededGenerator(seed: 3)
            func number() -> Double {
                let value = Float(random.normal())
                return Double(precision == .f32 ? value : Float(bitPattern: UInt32(encodeBFloat16(value)) << 16))
            }
            let left = (0..<shape.m * shape.k).map { _ in number() }
            let right = (0..<shape.k * shape.n).map { _ in number() }
            return (0..<shape.m * shape.n).map { place in
                let (row, column) = (place / shape.n, place % shape.n)
                return (0..<shape.k).reduce(0) { $0 + left[row * shape.k + $1] * right[$1 * shape.n + column] }
            }
        }

        /// One thread that is called does the shares of all that aren't, and what comes of it doesn't depend on who did which tile.
        @Test(arguments: [Precision.f32, .bf16], VectorKernelTests.halfLevels) func threadsTakeWhatIsLeft(
            _ precision: Precision, _ level: Int
        ) throws {
            try VectorKernelTests.at(level) {
                guard precision == .f32 || ck_product_of_pairs().run != nil else { return }
                for shape in Self.shapes {
                    let whole = try product(shape, precision, calling: [0], of: 1)
                    // Sums of 800 products at most, each about 1.
                    let isNear = zip(whole, expected(shape, precision)).allSatisfy { abs(Double($0) - $1) < 1e-4 }
                    #expect(isNear, "\(shape)")
                    for (threads, count) in [([0], 2), ([1], 2), ([2], 3), ([1, 0, 2], 3), ([4], 7)] {
                        #expect(try product(shape, precision, calling: threads, of: count) == whole, "\(shape) \(threads) of \(count)")
                    }
                }
            }
        }
    }
}
