import ByteIO
import Containers
import ModelIR
import TestSupport
import Testing

@Suite("npy")
struct NumPyTests {
    @Test func fixturesAreThere() { #expect(ContainerFixture.ending(in: ".npy").count > 25) }

    @Test("what NumPy wrote", arguments: ContainerFixture.ending(in: ".npy"))
    func reads(fixture: ContainerFixture) throws {
        let tensor = try NumPyArray.read(try fixture.contents)
        let array = try #require(fixture.arrays?.first)
        try expect(tensor, is: array)
        if fixture.isSame { #expect(try NumPyArray.bytes(of: tensor) == fixture.contents) }
        let again = try NumPyArray.read(try NumPyArray.bytes(of: tensor))
        if tensor.dtype != .bf16 { try expect(again, is: array) }
    }

    @Test("elements stay where they are when they can")
    func isZeroCopy() throws {
        let file = try TemporaryPath()
        let tensor = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        _ = try file.bytes { try $0.append(try NumPyArray.bytes(of: tensor)) }
        let read = try NumPyArray.read(try ByteRegion(path: file.path))
        #expect(read.storage.region?.path == file.path)
        #expect(read.storage.region?.offset == 128)
    }

    @Test("what NumPy doesn't have becomes f32", arguments: [DType.bf16, .f8e4m3, .f8e5m2])
    func widens(dtype: DType) throws {
        let tensor = Tensor(dtype: dtype, shape: [2, 2], bytes: (0..<4 * dtype.size).map { UInt8($0 * 31 % 120) })
        let read = try NumPyArray.read(try NumPyArray.bytes(of: tensor))
        #expect(read.dtype == .f32)
        #expect(read.shape == [2, 2])
        #expect(try read.doubles() == tensor.doubles())
    }

    private func file(_ header: String, version: [UInt8] = [1, 0], data: Int = 24) -> [UInt8] {
        let count = header.utf8.count
        let size: [UInt8] = version[0] == 1 ? [UInt8(count & 255), UInt8(count >> 8)] : [UInt8(count & 255), UInt8(count >> 8), 0, 0]
        return [0x93] + Array("NUMPY".utf8) + version + size + Array(header.utf8) + [UInt8](repeating: 0, count: data)
    }

    @Test(
        "headers in any order and spacing",
        arguments: [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n",
            "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}", "{\"shape\":(2,3,),\"descr\":\"<f4\",\"fortran_order\":False}\n",
            " { 'fortran_order' : True , 'descr' : '>f4' , 'shape' : ( 2 , 3 ) , } \t\n",
        ])
    func headers(header: String) throws {
        for version in [[1, 0], [2, 0], [3, 0]] as [[UInt8]] {
            let tensor = try NumPyArray.read(file(header, version: version))
            #expect(tensor.dtype == .f32)
            #expect(tensor.shape == [2, 3])
        }
    }

    @Test(
        "refused headers",
        arguments: [
            ("", "bad-header"), ("[]", "bad-header"), ("{}", "bad-header"), ("{'descr': '<f4', 'shape': (2, 3)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'shape': (2, 3)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}", "bad-header"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}", "bad-header"),
            ("{'descr': '<f4\\n', 'fortran_order': False, 'shape': (2, 3)}", "bad-header"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "too-large"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4, 0)}", "too-large"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", "too-large"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", "truncated"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", "truncated"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", "trailing-bytes"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "trailing-bytes"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}", "unsupported"),
            ("{'descr': '<U3', 'fortran_order': False, 'shape': (2, 3)}", "unsupported"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3)}", "unsupported"),
            ("{'descr': '|f4', 'fortran_order': False, 'shape': (2, 3)}", "unsupported"),
            ("{'descr': 'f4', 'fortran_order': False, 'shape': (2, 3)}", "unsupported"),
            ("{'descr': '', 'fortran_order': False, 'shape': (2, 3)}", "unsupported"),
        ])
    func refusedHeaders(header: String, code: String) throws {
        #expect(try errorOfReading { _ = try NumPyArray.read(file(header)) }?.code.rawValue == code)
    }

    @Test("refused beginnings")
    func refusedBeginnings() throws {
        let good = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}")
        func code(_ bytes: [UInt8]) throws -> String? { try errorOfReading { _ = try NumPyArray.read(bytes) }?.code.rawValue }
        #expect(try code(good) == nil)
        #expect(try code([]) == "bad-magic")
        #expect(try code(Array("PK".utf8) + good.dropFirst(2)) == "bad-magic")
        for version in [[0, 0], [1, 1], [4, 0]] as [[UInt8]] { #expect(try code(good[..<6] + version + good[8...]) == "bad-version") }
        // A header of 4 GiB that isn't there, and one past the limit.
        #expect(try code(Array(good[..<6]) + [2, 0, 0, 0, 0, 0xFF] + good[10...]) == "too-large")
        #expect(try code(Array(good[..<8]) + [0xFF, 0xFF] + good[10...]) == "truncated")
        var limits = Limits()
        limits.rank = 1
        #expect(try errorOfReading { _ = try NumPyArray.read(good, limits: limits) }?.code == "bad-header")
    }

    @Test("every truncation is refused", arguments: ["npy_fortran_big_endian.npy", "npy_version_3.npy", "npy_bool.npy"])
    func truncations(name: String) throws {
        let bytes = try FixtureFiles.bytes("containers/\(name)")
        for count in 0..<bytes.count {
            #expect(try errorOfReading { _ = try NumPyArray.read(Array(bytes[..<count])) } != nil, "\(count) bytes")
        }
    }

    @Test("damaged files never trap", arguments: ["npy_fortran_3.npy", "npy_rank_6.npy"])
    func damage(name: String) throws {
        let bytes = try FixtureFiles.bytes("containers/\(name)")
        for seed in 0..<5_000 as Range<UInt64> {
            _ = try errorOfReading { _ = try NumPyArray.read(damaged(bytes, seed: seed)).doubles() }
        }
    }
}
