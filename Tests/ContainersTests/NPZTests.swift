import ByteIO
import Containers
import ModelIR
import TestSupport
import Testing

@Suite("npz")
struct NPZTests {
    @Test("what NumPy wrote", arguments: ContainerFixture.ending(in: ".npz"))
    func reads(fixture: ContainerFixture) throws {
        let arrays = try NPZArchive.read(path: FixtureFiles.path("containers/\(fixture.path)"))
        let expected = try #require(fixture.arrays)
        #expect(arrays.map(\.name) == expected.map(\.name))
        for (array, row) in zip(arrays, expected) { try expect(array.tensor, is: row) }
    }

    @Test("a bare .npy is one array")
    func bare() throws {
        let arrays = try NPZArchive.read(path: FixtureFiles.path("containers/npy_scalar.npy"))
        #expect(arrays.map(\.name) == ["arr_0"])
        #expect(try arrays[0].tensor.floats() == [2.5])
    }

    @Test("what is written reads back, twice the same and aligned")
    func roundTrip() throws {
        let arrays: [(name: String, tensor: Tensor)] = [
            ("x", Tensor([1, 2, 3] as [Float], shape: [3])), ("größe/y", Tensor([4, 5] as [Int64], shape: [1, 2])),
            ("empty", Tensor([] as [Float], shape: [0, 7])), ("bf16", Tensor([0.5, -2], dtype: .bf16, shape: [2])),
        ]
        let file = try TemporaryPath()
        let bytes = try file.bytes { try NPZArchive.write(arrays, to: $0) }
        let other = try TemporaryPath()
        #expect(try other.bytes { try NPZArchive.write(arrays, to: $0) } == bytes)
        let read = try NPZArchive.read(path: file.path)
        #expect(read.map(\.name) == arrays.map(\.name))
        for (a, b) in zip(read, arrays) {
            #expect(a.tensor.shape == b.tensor.shape)
            #expect(a.tensor.dtype == (b.tensor.dtype == .bf16 ? .f32 : b.tensor.dtype))
            #expect(try a.tensor.doubles() == b.tensor.doubles())
            #expect(try #require(a.tensor.storage.region).offset % 64 == 0)
        }
    }

    @Test("members that are no arrays, and damaged ones")
    func refused() throws {
        let npy = try NumPyArray.bytes(of: Tensor([1] as [Float], shape: [1]))
        func code(_ members: [CraftedZip.Member]) throws -> String? {
            try errorOfReading { _ = try NPZArchive.read(ByteRegion(bytes: CraftedZip(members).bytes)) }?.code.rawValue
        }
        #expect(try code([.init("x.npy", npy)]) == nil)
        #expect(try code([.deflated("x.npy", npy)]) == nil)
        #expect(try code([.init("x.npy", npy), .init("readme.txt")]) == "npz-member")
        #expect(try code([.init("x.npy", Array(npy.dropLast()))]) == "truncated")
        var wrong = CraftedZip.Member("x.npy", npy)
        wrong.crc32 ^= 1
        #expect(try code([wrong]) == "zip-bad-crc")
        #expect(try errorOfReading { _ = try NPZArchive.read(ByteRegion(bytes: Array("text".utf8))) }?.code == "not-a-zip")
    }

    @Test("errors name the file")
    func path() throws {
        let file = try TemporaryPath()
        let error = try errorOfReading { _ = try NPZArchive.read(path: file.path) }
        #expect(error?.path == file.path)
    }

    @Test("every truncation is refused", arguments: ["npz_stored.npz", "npz_deflated.npz"])
    func truncations(name: String) throws {
        let bytes = try FixtureFiles.bytes("containers/\(name)")
        for count in 0..<bytes.count {
            #expect(try errorOfReading { _ = try NPZArchive.read(ByteRegion(bytes: Array(bytes[..<count]))) } != nil, "\(count) bytes")
        }
    }

    @Test("damaged files never trap", arguments: ["npz_stored.npz", "npz_deflated.npz"])
    func damage(name: String) throws {
        let bytes = try FixtureFiles.bytes("containers/\(name)")
        for seed in 0..<5_000 as Range<UInt64> {
            _ = try errorOfReading {
                for array in try NPZArchive.read(ByteRegion(bytes: damaged(bytes, seed: seed))) { _ = try array.tensor.doubles() }
            }
        }
    }
}
