import ByteIO
import ModelIR

/// Elements stored in the other byte order; turned round as they are read.
struct SwappedStorage: TensorStorage {
    let base: ByteRegion
    /// Bytes of one element; divides the number of bytes.
    let elementSize: Int

    var byteCount: Int { base.count }
    var region: ByteRegion? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        // Whole elements around the range that was asked for, in pieces.
        let size = elementSize
        var done = 0
        while done < buffer.count {
            let start = (offset + done) / size * size
            let skipped = offset + done - start
            let end = min(start + 1 << 20, (offset + buffer.count + size - 1) / size * size)
            var bytes = try base.bytes(start..<end)
            bytes.withUnsafeMutableBytes { swapElements($0, size: size) }
            let count = min(end - start - skipped, buffer.count - done)
            bytes.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[skipped..<skipped + count]))
            }
            done += count
        }
    }
}

/// Elements that are not stored: all have one value.
struct FillStorage: TensorStorage {
    /// One element, little-endian.
    let element: [UInt8]
    let byteCount: Int

    var region: ByteRegion? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        fill(buffer, with: element, from: offset)
    }
}

/// Repeats `element` over `buffer`, whose first byte is byte `offset` of the repetition.
func fill(_ buffer: UnsafeMutableRawBufferPointer, with element: [UInt8], from offset: Int = 0) {
    if element.allSatisfy({ $0 == 0 }) {
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    } else {
        for i in buffer.indices { buffer[i] = element[(offset + i) % element.count] }
    }
}

extension HDF5Index.Dataset {
    /// Where the dataset's elements come from when they are read, little-endian.
    /// - Throws: `FormatError` if the index points outside the region, or disagrees with itself.
    func tensorStorage(in region: ByteRegion, addressing: HDF5Addressing, path: String) throws -> any TensorStorage {
        switch storage {
        case .compact(let bytes):
            guard bytes.count == byteCount else { throw HDF5Error.truncated(path, expected: byteCount, found: "\(bytes.count)") }
            return ordered(ByteRegion(bytes: bytes, name: region.path))
        case .contiguous(let offset):
            guard let part = region.subregion(offset: offset, count: UInt64(byteCount)) else {
                throw HDF5Error.truncated(path, expected: byteCount, found: "a file of \(region.count) bytes")
            }
            return ordered(part)
        case .unallocated(let fill): return FillStorage(element: ordered(fill), byteCount: byteCount)
        case .chunked(let chunks):
            if byteCount == 0 || chunks.location == .nowhere { return FillStorage(element: ordered(chunks.fill), byteCount: byteCount) }
            return ChunkedStorage(dataset: self, chunks: chunks, file: region, addressing: addressing, path: path)
        }
    }

    private func ordered(_ region: ByteRegion) -> any TensorStorage {
        isBigEndian ? SwappedStorage(base: region, elementSize: dtype.size) : region
    }

    private func ordered(_ element: [UInt8]) -> [UInt8] { isBigEndian ? element.reversed() : element }
}
