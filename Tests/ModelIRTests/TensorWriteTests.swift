import ByteIO
import ModelIR
import TestSupport
import Testing

/// Tensors on their way into a file: where they lie, how they are put together, and by how many threads doesn't show.
@Suite struct TensorWriteTests {
    /// Element [i, j] of rows x columns is i * columns + j, cut to the dtype's size; transposed by `Tensor(rearranging:)`.
    private func transposed(_ dtype: DType, _ rows: Int, _ columns: Int) -> (tensor: Tensor, bytes: [UInt8]) {
        let size = dtype.size
        func element(_ k: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: (k &* 2_654_435_761) >> ($0 * 8)) } }
        let source = Tensor(dtype: dtype, shape: [rows, columns], bytes: (0..<rows * columns).flatMap(element))
        let box = ElementBox(
            source: 0, shape: [columns, rows], sourceOffset: 0, sourceStrides: [1, columns], targetOffset: 0, targetStrides: [rows, 1])
        let expected = (0..<columns).flatMap { j in (0..<rows).flatMap { i in element(i * columns + j) } }
        return (Tensor(rearranging: [source], shape: [columns, rows], boxes: [box]), expected)
    }

    @Test(arguments: [DType.u8, .f16, .f32, .f64])
    func transpositionsOfAllSizes(_ dtype: DType) throws {
        for (rows, columns) in [(1, 1), (3, 70), (64, 64), (65, 17), (130, 1), (33, 129)] {
            let (tensor, expected) = transposed(dtype, rows, columns)
            #expect(try tensor.bytes() == expected, "\(rows) x \(columns)")
        }
    }

    @Test(arguments: [1, 2, 5])
    func anyNumberOfThreadsGivesTheSameFile(_ threadCount: Int) throws {
        // Past the piece of what lies in place (2 MiB), past what is put together at once (16 MiB), empty, and small.
        let large = transposed(.f32, 2_051, 2_049)
        let small = transposed(.f16, 77, 31)
        let plain = (0..<5_000_011).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let parts: [(tensor: Tensor, bytes: [UInt8])] = [
            small, (Tensor(dtype: .u8, shape: [plain.count], bytes: plain), plain), large,
            (Tensor(dtype: .f32, shape: [0, 4], bytes: []), []),
            small,
        ]
        let scratch = try TemporaryDirectory()
        let output = try OutputFile(target: scratch.file("out"), replacesExisting: false)
        var expected = [UInt8](repeating: 0, count: 13)
        try output.append(expected)
        var places: [TensorPlace] = []
        for part in parts {
            places.append(TensorPlace(part.tensor, at: UInt64(expected.count)))
            expected += part.bytes
        }
        try output.write(places, threadCount: threadCount)
        try output.commit()
        #expect(try ByteRegion(path: scratch.file("out")).bytes() == expected)
    }

    @Test(arguments: [1, 2])
    func whatReadingThrowsEndsIt(_ threadCount: Int) throws {
        struct Broken: TensorStorage {
            let byteCount = 8
            var region: ByteRegion? { nil }
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
                throw FormatError("test", "broken", expected: "bytes", found: "none")
            }
        }
        let scratch = try TemporaryDirectory()
        do {
            let output = try OutputFile(target: scratch.file("out"), replacesExisting: false)
            let places = [
                TensorPlace(Tensor([Float](repeating: 1, count: 2_000_000), shape: [2_000_000]), at: 0),
                TensorPlace(Tensor(dtype: .f32, shape: [2], storage: Broken()), at: 8_000_000),
            ]
            let error = #expect(throws: FormatError.self) { try output.write(places, threadCount: threadCount) }
            #expect(error?.code == "broken")
        }
        #expect(scratch.names == [])
    }
}
