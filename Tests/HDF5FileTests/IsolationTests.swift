import ByteIO
import FormatKit
import Glibc
import ModelIR
import Testing

@testable import HDF5File

/// Parsing in another process: this one has threads, so a helper does it, the `ingot` beside the tests.
@Suite struct IsolationTests {
    static let names = FixtureTests.names

    @Test func thereIsAHelper() { #expect(HDF5Isolation.helperPath() != nil) }

    /// What comes over is what a parse here gives, from a file, from memory, and from the middle of another file.
    @Test(arguments: names) func indexTravels(name: String) throws {
        let path = "\(Fixtures.folder)/hdf5/\(name).h5"
        let region = try ByteRegion(path: path)
        let expected = try HDF5Index.parse(region: region, limits: Limits())
        #expect(try HDF5Isolation.index(of: region, limits: Limits()) == expected)
        let bytes = try region.bytes()
        #expect(try HDF5Isolation.index(of: ByteRegion(bytes: bytes), limits: Limits()) == expected)

        let scratch = try TemporaryFile()
        let output = try OutputFile(target: scratch.path, replacesExisting: true)
        try output.append([UInt8](repeating: 0xAB, count: 777) + bytes + [1, 2, 3])
        try output.commit()
        let part = try #require(try ByteRegion(path: scratch.path).subregion(offset: 777, count: UInt64(bytes.count)))
        #expect(try HDF5Isolation.index(of: part, limits: Limits()) == expected)
    }

    @Test func errorsTravel() throws {
        let errors = [
            FormatError("hdf5", "external-link", at: 1 << 40, rule: "H3", expected: "x", found: "y"), FormatError("hdf5", "corrupt"),
        ]
        for error in errors {
            guard case .refused(let found) = try IndexReply(decoding: IndexReply.refused(error).encoded) else {
                Issue.record("no error")
                continue
            }
            #expect(found == error)
        }
        let unsupported = UnsupportedError("words", items: ["a", "b"])
        guard case .unsupported(let found) = try IndexReply(decoding: IndexReply.unsupported(unsupported).encoded) else {
            Issue.record("no error")
            return
        }
        #expect(found == unsupported)
    }

    @Test func limitsTravel() throws {
        var limits = Limits()
        limits.objectCount = 3
        limits.expansionFloor = 1 << 50
        let request = try IndexRequest(decoding: IndexRequest(offset: 7, count: 1 << 40, limits: limits).encoded)
        #expect(request.offset == 7 && request.count == 1 << 40 && request.limits == limits)
        #expect(request.encoded.count <= IndexRequest.byteCountLimit)
        let error = #expect(throws: FormatError.self) {
            try HDF5Isolation.index(of: try ByteRegion(path: "\(Fixtures.folder)/hdf5/groups.h5"), limits: limits)
        }
        #expect(error?.code == "too-many-objects")
    }

    /// A child that was taken over may send anything.
    @Test func damagedRepliesAreFailures() throws {
        let index = try HDF5Index.parse(region: try ByteRegion(path: "\(Fixtures.folder)/hdf5/attributes_strings.h5"), limits: Limits())
        let bytes = IndexReply.index(index).encoded
        for count in 0..<bytes.count { #expect(throws: IndexDecoder.Failure.self) { try IndexReply(decoding: Array(bytes[..<count])) } }
        for position in bytes.indices {
            for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                var copy = bytes
                copy[position] = value
                guard case .index(let index)? = try? IndexReply(decoding: copy) else { continue }
                // Whatever it says now, it is safe to use.
                let region = ByteRegion(bytes: [UInt8](repeating: 0, count: 64))
                _ = try? HDF5Checkpoint.checkpoint(from: index, over: region, format: "hdf5", limits: Limits())
            }
        }
    }

    /// Which bound a child met is said: processor time, time on the wall, or the size of its answer.
    @Test func boundsAreToldApart() throws {
        let budget = IndexBudget(region: ByteRegion(bytes: [UInt8](repeating: 0, count: 64)))
        let cases: [(Pipe.Reading, Int32, String, String)] = [
            (.all([]), SIGPROF, "parser-timeout", "does not finish in 1.0 s of processor time"),
            (.all([]), SIGXCPU, "parser-timeout", "of processor time"),
            (.all([]), SIGALRM, "parser-timeout", "had not finished after 9.0 s, with processor time left"),
            (.tooLate, SIGKILL, "parser-timeout", "no answer after 14.0 s, with processor time left"),
            (.tooMuch, SIGKILL, "parser-limit", "more"),
            (.all([]), SIGSEGV, "parser-crash", "signal 11"),
            (.all([9]), 0, "parser-crash", "exit code 0"),
        ]
        for (reply, status, code, words) in cases {
            let error = #expect(throws: FormatError.self) {
                try HDF5Isolation.index(in: HDF5Isolation.Outcome(reply: reply, status: status), budget)
            }
            #expect(error?.code.rawValue == code && error?.rule == "H18")
            #expect(error?.found?.contains(words) == true, "\(String(describing: error))")
        }
    }

    @Test func pipesTellTooMuchFromTooLate() throws {
        var pipe = Pipe()
        try pipe.open()
        defer { pipe.close() }
        let bytes = [UInt8](repeating: 7, count: 100)
        #expect(write(pipe.writing, bytes, bytes.count) == bytes.count)
        #expect(pipe.readAll(limit: 99, seconds: 5) == .tooMuch)
        #expect(write(pipe.writing, bytes, bytes.count) == bytes.count)
        // Open and silent: its writer takes its time.
        #expect(pipe.readAll(limit: 1_000, seconds: 0.01) == .tooLate)
        #expect(write(pipe.writing, bytes, bytes.count) == bytes.count)
        pipe.closeWriting()
        #expect(pipe.readAll(limit: 1_000, seconds: 5) == .all(bytes))
    }

    @Test func integers() throws {
        var encoder = IndexEncoder()
        let values: [UInt64] = [0, 1, 127, 128, 300, 1 << 62, .max]
        for value in values { encoder.add(value) }
        var decoder = IndexDecoder(encoder.bytes)
        for value in values { #expect(try decoder.integer() == value) }
        #expect(decoder.isAtEnd)
        // Ten bytes hold 70 bits.
        var tooLong = IndexDecoder([UInt8](repeating: 0xFF, count: 9) + [2])
        #expect(throws: IndexDecoder.Failure.self) { try tooLong.integer() }
    }
}
