import ByteIO

/// Finds and reads the central directory.
struct ZipDirectoryReader {
    let region: ByteRegion
    let limits: Limits

    /// Where the end record says that the directory is; verified to lie inside the file.
    struct Directory {
        var offset: UInt64
        var size: UInt64
        var count: UInt64
    }

    init(region: ByteRegion, limits: Limits) {
        self.region = region
        self.limits = limits
    }

    /// A reader over `count` bytes at `offset`.
    func reader(at offset: UInt64, count: UInt64, _ what: String) throws -> ByteReader {
        guard let part = region.subregion(offset: offset, count: count) else {
            throw ZipFormat.error("zip-truncated", at: offset, expected: "\(count) bytes of \(what)", found: "the file's end")
        }
        return ByteReader(try part.bytes(), format: "zip", origin: offset)
    }

    func directory() throws -> Directory {
        guard ZipArchive.matches(region) else { throw ZipFormat.error("not-a-zip", at: 0, expected: "PK\\x03\\x04") }
        let end = try endOffset()
        var reader = try reader(at: end + 4, count: UInt64(ZipFormat.endSize) - 4, "end record")
        let disks = [try reader.u16("disk"), try reader.u16("disk")]
        let (countHere, count) = (UInt64(try reader.u16("members")), UInt64(try reader.u16("members")))
        let (size, offset) = (UInt64(try reader.u32("size")), UInt64(try reader.u32("offset")))
        var result = Directory(offset: offset, size: size, count: count)
        var limit = end
        if let (record, start) = try zip64Record(before: end) {
            for (wide, narrow, sentinel) in [
                (record.offset, offset, ZipFormat.sentinel), (record.size, size, ZipFormat.sentinel),
                (record.count, count, ZipFormat.countSentinel), (record.count, countHere, ZipFormat.countSentinel),
            ] where narrow != sentinel && narrow != wide {
                throw ZipFormat.error("zip-mismatch", at: end, expected: "\(wide), as the zip64 record says", found: "\(narrow)")
            }
            guard disks.allSatisfy({ $0 == 0 || $0 == 0xFFFF }) else { throw ZipFormat.error("zip-multi-disk", at: end) }
            result = record
            limit = start
        } else {
            guard disks == [0, 0], countHere == count else { throw ZipFormat.error("zip-multi-disk", at: end) }
        }
        // Bytes before or after the directory could hide a second one.
        let (directoryEnd, overflow) = result.offset.addingReportingOverflow(result.size)
        guard !overflow, directoryEnd == limit else {
            throw ZipFormat.error(
                overflow || directoryEnd > limit ? "zip-truncated" : "zip-mismatch", at: end,
                expected: "a directory that ends at byte \(limit)",
                found: "\(result.size) bytes at byte \(result.offset)")
        }
        return result
    }

    /// The end record: the last one whose comment reaches exactly to the end of the file.
    private func endOffset() throws -> UInt64 {
        let tailCount = min(region.count, ZipFormat.endSize + 0xFFFF)
        let tail = try region.bytes(region.count - tailCount..<region.count)
        var i = tailCount - ZipFormat.endSize
        while i >= 0 {
            if tail[i] == 0x50, tail[i + 1] == 0x4B, tail[i + 2] == 5, tail[i + 3] == 6 {
                let commentCount = Int(tail[i + 20]) | Int(tail[i + 21]) << 8
                if i + ZipFormat.endSize + commentCount == tailCount { return UInt64(region.count - tailCount + i) }
            }
            i -= 1
        }
        throw ZipFormat.error("zip-truncated", at: UInt64(region.count), expected: "an end record", found: "none")
    }

    /// The zip64 end record, if its locator stands before the end record.
    private func zip64Record(before end: UInt64) throws -> (Directory, start: UInt64)? {
        guard end >= UInt64(ZipFormat.locatorSize) else { return nil }
        let locatorOffset = end - UInt64(ZipFormat.locatorSize)
        var locator = try reader(at: locatorOffset, count: UInt64(ZipFormat.locatorSize), "zip64 locator")
        guard try locator.u32("signature") == ZipFormat.locatorSignature else { return nil }
        let disk = try locator.u32("disk")
        let start = try locator.u64("offset")
        let diskCount = try locator.u32("disks")
        guard disk == 0, diskCount <= 1 else { throw ZipFormat.error("zip-multi-disk", at: locatorOffset) }
        var record = try reader(at: start, count: UInt64(ZipFormat.end64Size), "zip64 end record")
        guard try record.u32("signature") == ZipFormat.end64Signature else {
            throw ZipFormat.error("zip-bad-header", at: start, expected: "a zip64 end record")
        }
        let size = try record.u64("size")
        let (recordEnd, overflow) = size.addingReportingOverflow(start + 12)
        guard !overflow, size >= 44, recordEnd == locatorOffset else {
            throw ZipFormat.error(
                "zip-mismatch", at: start, expected: "a record that ends at byte \(locatorOffset)", found: "\(size) bytes")
        }
        _ = try record.take(4, "versions")
        let disks = [try record.u32("disk"), try record.u32("disk")]
        let (countHere, count) = (try record.u64("members"), try record.u64("members"))
        guard disks == [0, 0], countHere == count else { throw ZipFormat.error("zip-multi-disk", at: start) }
        let (directorySize, directoryOffset) = (try record.u64("size"), try record.u64("offset"))
        return (Directory(offset: directoryOffset, size: directorySize, count: count), start)
    }
}
