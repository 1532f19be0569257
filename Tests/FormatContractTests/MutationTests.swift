import ByteIO
import TestSupport
import Testing

/// Damaged files, each opened, read, inspected, checked and lifted in a process of its own with bounds on time and memory.
@Suite struct MutationTests {
    /// Small files, of all kinds: the smaller, the more of them is structure.
    static let samples: [String: [String]] = {
        var samples = Dictionary(grouping: Fixtures.models.map(\.path)) { String($0.split(separator: ".").last ?? "") }
        samples["ingot"] = FixtureFiles.names(in: "fuzz/ingot", suffix: ".ingot")
        return samples.mapValues { paths in
            let sized = paths.compactMap { path in (try? ByteRegion(path: Fixtures.path(path)).count).map { ($0, path) } }
            return sized.sorted { $0 < $1 }.filter { $0.0 < 40_000 }.prefix(60).map(\.1)
        }
    }()

    @Test(arguments: ["h5", "keras", "ingot"]) func noDamageDoesHarm(ending: String) throws {
        let files = try #require(Self.samples[ending])
        #expect(!files.isEmpty)
        let run = try Tool.run(["--count", "800", "--seed", "4200000"] + files, program: "ingot-fuzz")
        #expect(run.code == 0, "\(run.text)\(run.errorText)")
        #expect(run.text.contains("0 found"), "\(run.text)")
    }

    /// The run can fail: cases that get no time are cut short, and that is found.
    @Test func whatIsFoundIsSaid() throws {
        let run = try Tool.run(["--count", "20", "--seconds", "0.001", "hdf5/many_chunks.h5"], program: "ingot-fuzz")
        #expect(run.code == 1)
        #expect(run.text.contains(": slow"), "\(run.text)")
    }
}
