import ByteIO
import Conversion
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

/// Shards with their index: one checkpoint, or an error that names what is missing, twice or left over.
@Suite struct ShardTests {
    static let forms = ["bin4_sharded", "safetensors4_sharded", "safetensors5_sharded", "tf4_sharded"]

    private static func indexName(_ form: String) -> String {
        form.hasPrefix("bin")
            ? "pytorch_model.bin.index.json" : form.hasPrefix("tf") ? "tf_model.h5.index.json" : "model.safetensors.index.json"
    }

    /// A copy of a fixture to break.
    private static func copy(_ form: String) throws -> TemporaryDirectory {
        let scratch = try TemporaryDirectory()
        let source = Fixtures.path("transformers/bert_shards/\(form)")
        for name in try directoryEntries(source) where !name.hasPrefix(".") {
            _ = try scratch.write(try ByteRegion(path: "\(source)/\(name)").bytes(), to: name)
        }
        return scratch
    }

    @Test(arguments: forms) func aDirectoryOrItsIndexOpensAll(form: String) throws {
        let folder = Fixtures.path("transformers/bert_shards/\(form)")
        let directory = try ModelFile.open(folder)
        let index = try ModelFile.open("\(folder)/\(Self.indexName(form))")
        #expect(directory.path == index.path)
        #expect(try directory.fingerprint() == index.fingerprint())
        #expect(directory.parts.count == 2)
        #expect(directory.byteCount == directory.parts.reduce(0) { $0 + $1.region.count })
        #expect(directory.checkpoint.tensors.reduce(0) { $0 + $1.tensor.byteCount } == 13_832)
        #expect(directory.checkpoint.document("config.json") != nil)
        #expect(index.checkpoint.document("config.json") != nil)
        #expect(!directory.notes.contains { $0.contains("states") })
        #expect(try CheckReport(directory).problems == [])
        #expect(try directory.checkStorage().allSatisfy { $0.contains("-00002: ") || $0.contains("-of-00002.") })
        let layers = directory.checkpoint.attributes.strings("layer_names")
        #expect(layers.map(Set.init) == (form.hasPrefix("tf") ? Set(directory.checkpoint.tensors.map(\.name)) : nil))
    }

    @Test func formsHoldTheSameTensors() throws {
        let all = try ["bin4_sharded", "safetensors4_sharded", "safetensors5_sharded"].map {
            try ModelFile.open(Fixtures.path("transformers/bert_shards/\($0)"))
        }
        let names = Set(all[0].checkpoint.tensors.map(\.name))
        for file in all {
            #expect(Set(file.checkpoint.tensors.map(\.name)) == names)
            #expect(try file.fingerprint() == all[0].fingerprint())
        }
    }

    @Test func oneShardAloneSaysSo() throws {
        let file = try ModelFile.open(Fixtures.path("transformers/bert_shards/safetensors5_sharded/model-00001-of-00002.safetensors"))
        #expect(file.notes.contains { $0.contains("one of 2 shards") && $0.contains("model.safetensors.index.json") })
        #expect(file.checkpoint.document("config.json") == nil)
    }

    // MARK: What is wrong

    private func error(_ form: String = "safetensors5_sharded", _ change: (TemporaryDirectory) throws -> Void) throws -> FormatError {
        let scratch = try Self.copy(form)
        try change(scratch)
        return try #require(throws: FormatError.self) { try ModelFile.open(scratch.path) }
    }

    private func changeIndex(_ scratch: TemporaryDirectory, _ change: (inout JSONObject) -> Void) throws {
        let path = scratch.file("model.safetensors.index.json")
        var document = try #require(try JSONValue.parse(try ByteRegion(path: path).bytes()).object)
        change(&document)
        _ = try scratch.write(Array(JSONValue.object(document).serialized().utf8), to: "model.safetensors.index.json")
    }

    private func changeMap(_ scratch: TemporaryDirectory, _ change: (inout JSONObject) -> Void) throws {
        try changeIndex(scratch) { document in
            var map = document["weight_map"]?.object ?? JSONObject()
            change(&map)
            document["weight_map"] = .object(map)
        }
    }

    private static let first = "model-00001-of-00002.safetensors"
    private static let second = "model-00002-of-00002.safetensors"

    @Test func aMissingShardIsNamed() throws {
        let missing = try error { scratch in try scratch.remove(Self.second) }
        #expect(missing.code == "missing-shard")
        #expect(missing.expected?.contains(Self.second) == true)
    }

    @Test func aDamagedShardIsNamed() throws {
        for (form, name) in [("safetensors5_sharded", Self.second), ("bin4_sharded", "pytorch_model-00002-of-00002.bin")] {
            let damaged = try error(form) { scratch in
                let bytes = try ByteRegion(path: scratch.file(name)).bytes()
                _ = try scratch.write(Array(bytes.dropLast(3)), to: name)
            }
            #expect(damaged.path?.hasSuffix(name) == true, "\(damaged)")
        }
        let empty = try error { scratch in _ = try scratch.write([], to: Self.first) }
        #expect(empty.code == "empty-file")
        #expect(empty.path?.hasSuffix(Self.first) == true)
    }

    @Test func indexAndShardsMustAgree() throws {
        let word = "embeddings.word_embeddings.weight"
        let absent = try error { try changeMap($0) { $0["more.weight"] = .string(Self.first) } }
        #expect(absent.code == "missing-tensor")
        #expect(absent.found?.contains("more.weight") == true)
        let unlisted = try error { try changeMap($0) { $0[word] = nil } }
        #expect(unlisted.code == "unlisted-tensor")
        #expect(unlisted.found?.contains(word) == true)
        // Listed for the other shard: it is missing there.
        let moved = try error { try changeMap($0) { $0[word] = .string(Self.second) } }
        #expect(["missing-tensor", "unlisted-tensor"].contains(moved.code))
        // The second shard again under another name.
        let twice = try error { scratch in
            _ = try scratch.write(try ByteRegion(path: scratch.file(Self.second)).bytes(), to: "model-00003-of-00003.safetensors")
            try changeMap(scratch) { map in
                let name = map.members.first { $0.value == .string(Self.second) }?.key ?? ""
                map[name] = .string("model-00003-of-00003.safetensors")
            }
        }
        #expect(["duplicate-tensor", "unlisted-tensor"].contains(twice.code))
    }

    @Test func aTensorInTwoShardsIsRefused() throws {
        let scratch = try TemporaryDirectory()
        func shard(_ names: [String], _ file: String) throws {
            var checkpoint = Checkpoint(format: "lowered")
            checkpoint.tensors = names.map { .init(name: $0, tensor: Tensor([1, 2] as [Float], shape: [2])) }
            let output = try OutputFile(target: scratch.file(file), replacesExisting: false)
            try #require(Registry.format(named: "safetensors")).write(checkpoint, to: output, options: WriteOptions())
            try output.commit()
        }
        try shard(["a", "b"], Self.first)
        try shard(["b", "c"], Self.second)
        let index = #"{"weight_map":{"a":"\#(Self.first)","b":"\#(Self.first)","c":"\#(Self.second)"}}"#
        _ = try scratch.write(Array(index.utf8), to: "model.safetensors.index.json")
        let error = #expect(throws: FormatError.self) { try ModelFile.open(scratch.path) }
        #expect(error?.code == "duplicate-tensor")
        #expect(error?.expected?.contains("`b`") == true)
    }

    @Test func namesLeadNowhereElse() throws {
        for name in ["../\(Self.first)", "/etc/hostname", "sub/\(Self.first)", ".", "..", "", "a\u{0}b"] {
            let escape = try error { try changeMap($0) { $0["embeddings.word_embeddings.weight"] = .string(name) } }
            #expect(escape.code == "path-escape", "\(name)")
        }
    }

    @Test func brokenIndexes() throws {
        for (text, code) in [
            ("", "bad-index"), ("[]", "bad-index"), ("{}", "bad-index"), (#"{"weight_map":[]}"#, "bad-index"),
            (#"{"weight_map":{}}"#, "bad-index"),
            (#"{"weight_map":{"a":1}}"#, "bad-index"), (#"{"weight_map":{"a":"x","a":"y"}}"#, "duplicate-key"),
            (#"{"weight_map":"# + String(repeating: "[", count: 1_000), "too-deep"),
        ] {
            let broken = try error { scratch in _ = try scratch.write(Array(text.utf8), to: "model.safetensors.index.json") }
            #expect(broken.code.rawValue == code, "\(text.prefix(40))")
            #expect(broken.path?.hasSuffix("index.json") == true)
        }
    }

    @Test func shardsOfTwoFormatsAreRefused() throws {
        let mixed = try error { scratch in
            let bytes = try ByteRegion(path: Fixtures.path("transformers/bert_shards/bin4_sharded/pytorch_model-00002-of-00002.bin"))
                .bytes()
            _ = try scratch.write(bytes, to: Self.second)
        }
        #expect(mixed.code == "mixed-formats")
    }

    @Test func anotherTotalIsSaid() throws {
        let scratch = try Self.copy("safetensors5_sharded")
        try changeIndex(scratch) { $0["metadata"] = ["total_size": 5] }
        #expect(try ModelFile.open(scratch.path).notes.contains { $0.contains("states 5 bytes") && $0.contains("13832") })
        try changeIndex(scratch) { $0["metadata"] = nil }
        #expect(try !ModelFile.open(scratch.path).notes.contains { $0.contains("states") })
    }

    @Test func shardsWithoutAnIndex() throws {
        let missing = try error { scratch in try scratch.remove("model.safetensors.index.json") }
        #expect(missing.code == "missing-index")
        #expect(missing.expected?.contains("model.safetensors.index.json") == true)
    }
}

/// What a directory means.
@Suite struct DirectoryTests {
    private func directory(_ names: [String]) throws -> TemporaryDirectory {
        let scratch = try TemporaryDirectory()
        let safetensors = try Fixtures.bytes("safetensors/tied.safetensors")
        let pickle = try Fixtures.bytes("pytorch/state_dict_zip.pt")
        let hdf5 = try Fixtures.bytes("hdf5/groups.h5")
        for name in names {
            let bytes =
                name.hasSuffix("safetensors")
                ? safetensors : name.hasSuffix("h5") ? hdf5 : name.hasSuffix("json") ? Array("{}".utf8) : pickle
            _ = try scratch.write(bytes, to: name)
        }
        return scratch
    }

    private func chosen(_ names: [String]) throws -> (name: String, others: String?) {
        let scratch = try directory(names)
        let file = try ModelFile.open(scratch.path)
        return (splitPath(file.path).name, file.notes.first { $0.hasPrefix("took ") })
    }

    @Test func preference() throws {
        let all = ["zzz.safetensors", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "weights.h5", "a.pt"]
        var names = all
        for expected in ["model.safetensors", "zzz.safetensors", "pytorch_model.bin", "a.pt", "tf_model.h5", "weights.h5"] {
            let (name, others) = try chosen(names)
            #expect(name == expected)
            names.removeAll { $0 == expected }
            for other in names { #expect(others?.contains(other) == true, "\(other)") }
        }
    }

    @Test func whatTrainersLeaveIsNoModel() throws {
        let files = ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", ".hidden.safetensors", "config.json"]
        let (name, others) = try chosen(files + ["pytorch_model.bin"])
        #expect(name == "pytorch_model.bin")
        #expect(others == nil)
        let empty = try directory(files)
        let error = #expect(throws: FileError.self) { try ModelFile.open(empty.path) }
        #expect(error?.message == "holds no weights file that Ingot reads")
    }

    @Test func configurationsBesideWeights() throws {
        let config = Array(#"{"model_type": "none", "architectures": ["None"]}"#.utf8)
        func hasConfiguration(_ weights: String, _ name: String = "config.json", content: [UInt8]? = nil, whole: Bool = false) throws
            -> Bool
        {
            let scratch = try directory([weights])
            _ = try scratch.write(content ?? config, to: name)
            return try ModelFile.open(whole ? scratch.path : scratch.file(weights)).checkpoint.document("config.json") != nil
        }
        for name in ["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"] { #expect(try hasConfiguration(name), "\(name)") }
        // Another name says nothing of what lies beside it, unless the directory was meant.
        #expect(try !hasConfiguration("other.safetensors"))
        #expect(try hasConfiguration("other.safetensors", whole: true))
        // JSON that is no configuration.
        #expect(try !hasConfiguration("model.safetensors", content: Array(#"{"rows": 3}"#.utf8)))
        // What the file itself says comes first.
        let scratch = try directory([])
        _ = try scratch.write(try Fixtures.bytes("safetensors/metadata.safetensors"), to: "model.safetensors")
        _ = try scratch.write(config, to: "config.json")
        let file = try ModelFile.open(scratch.path)
        #expect(file.checkpoint.document("config.json") == nil)
        #expect(file.checkpoint.attributes["config.json"]?.text?.contains("none") == true)
    }
}
