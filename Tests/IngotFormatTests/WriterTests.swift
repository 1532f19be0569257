import ByteIO
import Digests
import FormatKit
import Glibc
import ModelIR
import Synchronization
import TestSupport
import Testing

@testable import IngotFormat

@Suite struct WriterTests {
    @Test(arguments: [0, 1, 3]) func equalBytesAtAnyThreadCount(level: Int) throws {
        var checkpoint = sampleCheckpoint()
        for i in 0..<6 {
            let count = 300_000 * (i + 1)
            checkpoint.tensors.append(.init(name: "w\(i)", tensor: Tensor(weights(count, seed: UInt64(i)), shape: [count])))
            checkpoint.tensors.append(.init(name: "z\(i)", tensor: Tensor([Int64](repeating: Int64(i), count: 9 * i), shape: [9 * i])))
        }
        let reference = try written(checkpoint, level: level, threadCount: 1)
        for threadCount in [2, 3, 8] { #expect(try written(checkpoint, level: level, threadCount: threadCount) == reference) }
        #expect(try written(checkpoint, level: level, threadCount: 0) == reference)
    }

    /// In memory as in a file, also where it grows, and read from there without a copy.
    @Test(arguments: [1, 2]) func memoryTakesTheSameBytes(threadCount: Int) throws {
        var checkpoint = sampleCheckpoint()
        checkpoint.tensors.append(.init(name: "w", tensor: Tensor(weights(1_500_000, seed: 3), shape: [1_500_000])))
        checkpoint.tensors.append(.init(name: "n", tensor: Tensor(dtype: .u8, shape: [3 << 20], bytes: randomBytes(3 << 20, seed: 4))))
        let memory = OutputMemory(capacity: 1)
        try IngotFormat.write(checkpoint, to: memory, options: WriteOptions(threadCount: threadCount))
        #expect(memory.position > 4 << 20)
        #expect(try Array(memory.bytes) == written(checkpoint))
        let region = ByteRegion(ByteStore(memory))
        try expectEqual(checkpoint, try IngotFormat.open(region, limits: Limits(), threadCount: threadCount))
        _ = try IngotFormat.check(region, limits: Limits())
        #expect(throws: FileError.self) { try region.bytes(region.count - 1..<region.count + 1) }
    }

    /// Damage is found where bytes are lent as it is where they are read.
    @Test func damageInMemoryIsFound() throws {
        let checkpoint = Checkpoint(
            format: "test",
            tensors: [
                .init(name: "w", tensor: Tensor(weights(200_000, seed: 3), shape: [200_000])),
                .init(name: "n", tensor: Tensor(dtype: .u8, shape: [9_000], bytes: randomBytes(9_000, seed: 4))),
            ])
        let sound = try written(checkpoint)
        let dataLength = try IngotParts(sound).data.count
        for offset in stride(from: 16, to: 16 + dataLength, by: dataLength / 37) {
            var damaged = sound
            damaged[offset] ^= 0x10
            let memory = OutputMemory()
            try memory.append(damaged)
            let copy = try IngotFormat.open(ByteRegion(ByteStore(memory)), limits: Limits(), threadCount: 1)
            #expect(throws: FormatError.self, "byte \(offset)") { for entry in copy.tensors { _ = try entry.tensor.bytes() } }
        }
    }

    /// Bytes that are all equally frequent but come again are still searched for matches; bytes that don't are stored as they are.
    @Test func bytesThatRepeatAreCompressed() throws {
        let size = 1 << 20
        func fileSize(_ bytes: [UInt8]) throws -> Int {
            try written(Checkpoint(format: "test", tensors: [.init(name: "a", tensor: Tensor(dtype: .u8, shape: [size], bytes: bytes))]))
                .count
        }
        let period = randomBytes(1_000, seed: 5)
        #expect(try fileSize((0..<size).map { UInt8($0 % 256) }) < size / 50)
        #expect(try fileSize((0..<size).map { period[$0 % period.count] }) < size / 50)
        let noise = try fileSize(randomBytes(size, seed: 6))
        #expect(noise > size && noise < size + 2_000)
    }

    /// The record's fingerprint is asked for when all tensors have been hashed, each of them once.
    @Test(arguments: [1, 2, 3]) func digestsAreComputedOnceAndKept(threadCount: Int) throws {
        let reads = Mutex(0)
        final class Counted: TensorStorage {
            let bytes: [UInt8]
            let count: @Sendable (Int) -> Void
            var byteCount: Int { bytes.count }
            var region: ByteRegion? { nil }
            var identity: StorageIdentity? { StorageIdentity(owner: self, byteCount: bytes.count) }
            init(_ bytes: [UInt8], _ count: @escaping @Sendable (Int) -> Void) { (self.bytes, self.count) = (bytes, count) }
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
                count(buffer.count)
                bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count])) }
            }
        }
        let sizes = [1_300_000, 0, 40, 700_000]
        let counter: @Sendable (Int) -> Void = { n in reads.withLock { $0 += n } }
        let tensors = sizes.enumerated().map { i, size in
            Tensor(dtype: .u8, shape: [size], storage: Counted(randomBytes(size, seed: UInt64(i)), counter))
        }
        var checkpoint = Checkpoint(format: "test", tensors: tensors.enumerated().map { .init(name: "\($0)", tensor: $1) })
        checkpoint.record = sampleRecord()
        let digests = checkpoint.digests
        checkpoint.fingerprint = { try digests.digests(of: tensors, threadCount: 1).map { hexadecimal($0) }.joined(separator: " ") }
        let copy = try opened(written(checkpoint, threadCount: threadCount))
        let expected = try tensors.map { hexadecimal(SHA256.hash(try $0.bytes())) }
        #expect(copy.record?.fingerprint == expected.joined(separator: " "))
        // To be written, to be hashed, and by this test.
        #expect(reads.withLock { $0 } == sizes.reduce(0, +) * (threadCount == 1 ? 2 : 3))
        // What is known isn't computed again, but believed.
        digests.note([UInt8](repeating: 7, count: 32), of: tensors[3].storage)
        #expect(try digests.digests(of: tensors, threadCount: 2)[3] == [UInt8](repeating: 7, count: 32))
        #expect(digests[tensors[0]].map { hexadecimal($0) } == expected[0])
    }

    @Test(arguments: [0, 1]) func equalTensorsShareStorageAndStayUntied(level: Int) throws {
        let size = 700_000
        let bytes = randomBytes(size, seed: 1)
        var other = bytes
        other[size - 1] ^= 1
        let region = ByteRegion(bytes: bytes)
        let checkpoint = Checkpoint(
            format: "test",
            tensors: [
                .init(name: "a", tensor: Tensor(dtype: .u8, shape: [size], storage: region)),
                .init(name: "differs at the end", tensor: Tensor(dtype: .u8, shape: [size], bytes: other)),
                .init(name: "same place", tensor: Tensor(dtype: .u8, shape: [size], storage: region)),
                .init(name: "equal", tensor: Tensor(dtype: .i8, shape: [2, size / 2], bytes: bytes)),
                .init(name: "other width", tensor: Tensor(dtype: .f32, shape: [size / 4], bytes: bytes)),
                .init(name: "equal to the second", tensor: Tensor(dtype: .bool, shape: [size], bytes: other)),
                .init(name: "empty", tensor: Tensor(dtype: .u8, shape: [0], bytes: [])),
                .init(name: "empty too", tensor: Tensor(dtype: .i8, shape: [4, 0], bytes: [])),
            ])
        let file = try written(checkpoint, level: level)
        let index = try IngotFile(ByteRegion(bytes: file), limits: Limits(), threadCount: 1).index
        #expect(index.tensors.map(\.blob) == [0, 1, 0, 0, 2, 1, 3, 3])
        #expect(file.count < 3 * size + 10_000)
        let copy = try opened(file)
        try expectEqual(checkpoint, copy)
        #expect(copy.ties.isEmpty)
    }

    @Test func whatCanNotBeWrittenIsRefusedBeforehand() throws {
        func refusal(_ change: (inout Checkpoint) -> Void, level: Int = 1) throws -> UnsupportedError? {
            var checkpoint = RuleTests.base()
            change(&checkpoint)
            do {
                _ = try written(checkpoint, level: level)
                return nil
            } catch let error as UnsupportedError { return error }
        }
        #expect(try refusal { _ in } == nil)
        let opaque = try refusal {
            $0.opaque = [.init(name: "t", description: "compound dataset [3]"), .init(name: "u", description: "link")]
        }
        #expect(opaque?.items == ["t (compound dataset [3])", "u (link)"])
        #expect(try refusal { $0.tensors[0].name = "" } != nil)
        #expect(try refusal { $0.tensors[1].name = "a" } != nil)
        #expect(try refusal { $0.groups = [] } != nil)
        #expect(try refusal { $0.groups.swapAt(1, 2) } != nil)
        #expect(try refusal { $0.ties = [.init(names: ["a", "gone"])] }?.items == ["gone"])
        #expect(try refusal { $0.ties = [.init(names: ["a", "words"])] } != nil)
        #expect(try refusal { $0.ties = [.init(names: ["a"])] } != nil)
        #expect(try refusal { $0.documents[0].name = "../up" } != nil)
        #expect(try refusal { $0.record?.irVersion = -1 } != nil)
        #expect(try refusal { $0.attributes = [Attribute("n", .numbers(.init(dtype: .f32, shape: [2], bytes: [0])))] } != nil)
        #expect(try refusal { $0.attributes = [Attribute("n", .numbers(.init(dtype: .f32, shape: [.max, 8], bytes: [])))] } != nil)
        #expect(try refusal { $0.attributes = [Attribute("n", .numbers(.init(dtype: .f32, shape: [-1], bytes: [])))] } != nil)
        #expect(
            try refusal { $0.attributes = [Attribute("s", .strings(.init(values: [], shape: [], storage: .variable, charset: .utf8)))] }
                != nil)
        let constant = [UInt8](repeating: 0, count: 32 << 20)
        #expect(try refusal { $0.documents = [.init(name: "zeros", bytes: constant)] } != nil)
        #expect(try refusal({ $0.documents = [.init(name: "zeros", bytes: constant)] }, level: 0) == nil)
        #expect(throws: InputError.self) { try written(RuleTests.base(), level: 20) }
        #expect(throws: InputError.self) { try written(RuleTests.base(), level: -1) }
    }

    @Test(arguments: [1, 2, 4]) func theFirstErrorInOrderIsThrown(threadCount: Int) throws {
        struct Broken: TensorStorage {
            let byteCount = 4 * IngotLayout.chunkSize
            let name: String
            var region: ByteRegion? { nil }
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
                guard offset < IngotLayout.chunkSize else { throw InputError("\(name) at \(offset)") }
                buffer.copyBytes(from: randomBytes(buffer.count, seed: UInt64(name.utf8.count)))
            }
        }
        var checkpoint = Checkpoint(format: "test")
        for name in ["a", "bb"] {
            checkpoint.tensors.append(
                .init(name: name, tensor: Tensor(dtype: .u8, shape: [4 * IngotLayout.chunkSize], storage: Broken(name: name))))
        }
        #expect(throws: InputError("a at \(IngotLayout.chunkSize)")) { try written(checkpoint, threadCount: threadCount) }
    }

    @Test(arguments: [0, 1, 2, 3, 8], [0, 1, 2, 50]) func workBesideIsDoneOnce(threadCount: Int, count: Int) throws {
        struct Failure: Error {}
        let done = Mutex(0)
        var consumed = 0
        try inOrder(
            count: count, threadCount: threadCount, beside: { done.withLock { $0 += 1 } }, makeSlot: {}, work: { _, _ in },
            consume: { _, _ in consumed += 1 })
        #expect(done.withLock { $0 } == 1)
        #expect(consumed == count)
        #expect(throws: Failure.self) {
            try inOrder(
                count: count, threadCount: threadCount, beside: { throw Failure() }, makeSlot: {}, work: { _, _ in }, consume: { _, _ in })
        }
    }

    @Test func orderedWorkKeepsOrderAndBounds() throws {
        for threadCount in 1...5 {
            let running = Mutex((now: 0, most: 0))
            var seen: [Int] = []
            try inOrder(
                count: 100, threadCount: threadCount, slotCount: 10 * (threadCount % 3), makeSlot: { TransferBuffer(byteCount: 8) }
            ) { i, slot in
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                slot.bytes.storeBytes(of: i * i, as: Int.self)
                usleep(UInt32(i * 7_919 % 300))
                running.withLock { $0.now -= 1 }
            } consume: { i, slot in
                #expect(slot.bytes.load(as: Int.self) == i * i)
                seen.append(i)
            }
            #expect(seen == Array(0..<100))
            #expect(running.withLock { $0.most } <= threadCount)
        }
    }

    /// They begin on another processor than the caller, and then go where it may.
    @Test func helpersMayRunWhereverTheCallerMay() throws {
        let own = allowedProcessors()
        try #require(!own.isEmpty)
        let others = Mutex<[Set<Int32>]>([])
        try inOrder(
            count: 20, threadCount: 4, makeSlot: {},
            work: { _, _ in
                let found = allowedProcessors()
                others.withLock { $0.append(found) }
                usleep(1_000)
            }, consume: { _, _ in })
        #expect(others.withLock { $0 } == [Set<Int32>](repeating: own, count: 20))
    }
}
