import ByteIO
import FormatKit
import ModelIR

/// A string of bytes as it is stored, with a row for each of its chunks (SPEC.md, "Blobs").
struct Blob: Equatable, Sendable {
    var layout: BlobLayout
    /// Bytes of an element: 1, 2, 4 or 8.
    var width: Int
    /// Bytes before compression, a multiple of `width`.
    var byteCount: UInt64
    /// SHA-256 of the bytes before compression.
    var digest = [UInt8](repeating: 0, count: 32)
    /// Stored bytes of each plane, chunk by chunk.
    var planeLengths: [UInt32] = []
    /// XXH3 of each chunk's stored bytes.
    var checksums: [UInt64] = []

    /// Planes of a chunk.
    var planeCount: Int { layout == .unsplit ? 1 : width }

    /// Chunks that `byteCount` bytes make.
    static func chunkCount(_ byteCount: UInt64) -> UInt64 {
        byteCount / UInt64(IngotLayout.chunkSize) + (byteCount % UInt64(IngotLayout.chunkSize) == 0 ? 0 : 1)
    }

    var chunkCount: Int { Int(Self.chunkCount(byteCount)) }

    /// Bytes of a chunk before compression.
    func chunkLength(_ chunk: Int) -> Int {
        Int(min(UInt64(IngotLayout.chunkSize), byteCount - UInt64(chunk) * UInt64(IngotLayout.chunkSize)))
    }

    /// Stored lengths of the planes of a chunk.
    func planeLengths(_ chunk: Int) -> ArraySlice<UInt32> { planeLengths[chunk * planeCount..<(chunk + 1) * planeCount] }

    /// Bytes of all chunks in the file.
    var storedLength: UInt64 { planeLengths.reduce(0) { $0 + UInt64($1) } }

    /// A blob of the same size with rows that are not filled in, to try an index before anything is written.
    func withEmptyRows() -> Blob {
        var copy = self
        copy.checksums = [UInt64](repeating: 0, count: chunkCount)
        copy.planeLengths = (0..<chunkCount).flatMap { chunk in
            [UInt32](repeating: UInt32(chunkLength(chunk) / planeCount), count: planeCount)
        }
        return copy
    }
}

/// All of a file but the stored bytes (SPEC.md, "Index").
struct Index: Sendable {
    struct TensorRow: Sendable {
        var name: String
        var dtype: DType
        var shape: [Int]
        /// Position in `blobs`.
        var blob: Int
        var attributes: [Attribute]
    }

    struct DocumentRow: Sendable {
        var name: String
        /// Position in `blobs`.
        var blob: Int
    }

    var blobs: [Blob] = []
    var source = Checkpoint.Source(format: "", detail: "")
    var groups: [Checkpoint.Group] = []
    var tensors: [TensorRow] = []
    /// Positions in `tensors`.
    var ties: [[Int]] = []
    var documents: [DocumentRow] = []
    var record: Record?

    /// Bytes of all tensors when decoded, each counted though it shares a blob; `UInt64.max` where that is too many to count.
    var declaredByteCount: UInt64 {
        var total: UInt64 = 0
        for tensor in tensors {
            let (sum, overflow) = total.addingReportingOverflow(blobs[tensor.blob].byteCount)
            guard !overflow else { return .max }
            total = sum
        }
        return total
    }

    /// Bytes of all documents when decoded.
    var documentByteCount: UInt64 { documents.reduce(0) { $0 + blobs[$1.blob].byteCount } }

    /// The last clause of rule I24: documents are read when a file is opened, so a short file must not hold long ones.
    func documentsAreBelievable(fileLength: UInt64, limits: Limits) -> Bool {
        guard documentByteCount > IngotLayout.freeDocumentLength else { return true }
        let (bound, overflow) = fileLength.multipliedReportingOverflow(by: limits.expansionFactor)
        return overflow || documentByteCount <= bound
    }
}
