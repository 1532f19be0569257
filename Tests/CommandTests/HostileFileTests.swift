import ByteIO
import JSON
import TestSupport
import Testing

/// Links, external data, bombs and code are refused before anything is allocated for them: each kind by a file, with the name of the rule,
/// in a process that may have 48 MiB of its own.
@Suite struct HostileFileTests {
    struct Case: Sendable, CustomStringConvertible {
        var kind: String
        var command: String
        var path: String
        var code: Int32
        /// The rule's name and number, or the words of what is refused.
        var words: String

        init(_ kind: String, _ command: String, _ path: String, _ code: Int32, _ words: String) {
            (self.kind, self.command, self.path, self.code, self.words) = (kind, command, path, code, words)
        }

        var description: String { "\(kind): \(command) \(path)" }
    }

    private static let hdf5: [(String, String, String)] = [
        ("external link", "external_link", "external-link (H3)"),
        ("external link to a file that exists", "external_link_absolute", "external-link (H3)"),
        ("link of a user's kind", "user_defined_link", "user-defined-link (H4)"),
        ("external storage", "external_storage", "external-storage (H5)"), ("virtual dataset", "virtual_dataset", "virtual-dataset (H6)"),
        ("huge dataspace, in chunks", "shape_bomb", "shape-bomb (H7)"),
        ("huge dataspace, in one piece", "shape_bomb_contiguous", "shape-bomb (H7)"),
        ("many large dataspaces", "shape_bomb_many", "shape-bomb (H7)"), ("soft links in a circle", "soft_link_cycle", "link-cycle (H8)"),
        ("soft link to itself", "soft_link_self", "link-cycle (H8)"), ("groups in a circle", "group_hard_link_cycle", "link-cycle (H8)"),
        ("group that holds the root", "group_hard_link_root", "link-cycle (H8)"),
        ("strings that share their bytes", "shared_strings", "metadata-too-large (H12)"),
    ]

    static let cases: [Case] =
        hdf5.flatMap { kind, name, words in
            ["inspect", "check", "run"].map { Case(kind, $0, "invalid/hdf5/\(name).h5", 65, words) }
        } + [
            Case("external link in an archive", "run", "invalid/keras/weight_external_link.keras", 65, "external-link"),
            Case("Lambda with code, .h5", "run", "invalid/keras/lambda_layer.h5", 69, "layer 'lambda' is of the class Lambda"),
            Case("Lambda with code, .keras", "run", "invalid/keras/lambda_layer.keras", 69, "layer 'lambda' is of the class Lambda"),
            Case("huge layer", "run", "invalid/keras/units_huge.h5", 65, "bad-config: expected units"),
            Case("pickled call of eval", "inspect", "invalid/pytorch/global_eval_2.pt", 65, "unsafe-global"),
            Case("pickled call of exec", "inspect", "invalid/pytorch/global_exec_4.pt", 65, "unsafe-global"),
            Case("pickled call of open", "inspect", "invalid/pytorch/global_open_2.pt", 65, "unsafe-global"),
            Case("pickled module", "inspect", "invalid/pytorch/module_zip.pt", 69, "a pickled module"),
            Case("pickled tensor of huge shape", "inspect", "invalid/pytorch/shape_expanded_bomb.pt", 65, "shape-bomb at byte 198 (P12)"),
            Case("pickle memo of huge number", "inspect", "invalid/pytorch/memo_huge.pt", 65, "bad-memo"),
            Case("header of huge length", "inspect", "invalid/safetensors/header_huge.safetensors", 65, "unknown-format"),
        ]

    /// For everything that the program allocates, in the process that parses too: less than any of the bombs asks for.
    private static let memory = 48 << 20

    @Test(arguments: cases) func isRefusedByNameInLittleMemory(hostile: Case) throws {
        try expect(hostile, hostile.path)
    }

    private func expect(_ hostile: Case, _ path: String) throws {
        let result = try Tool.run([hostile.command, path], memory: Self.memory)
        #expect(result.code == hostile.code, "\(result.errorText)")
        #expect(result.errorText.contains(hostile.words), "\(result.errorText)")
        #expect(result.errorText.split(separator: "\n").count == 1 && result.text.isEmpty)
    }

    /// Archives made here: too large for the folder of fixtures, or nothing but a claim.
    @Test func archivesThatExpand() throws {
        let scratch = try TemporaryDirectory()
        let metadata = CraftedZip.Member("metadata.json", Array(#"{"keras_version": "3.15.1"}"#.utf8))
        let configuration = CraftedZip.Member("config.json", Array(#"{"class_name": "Sequential", "config": {"layers": []}}"#.utf8))

        // 3 GiB, out of 100 bytes.
        var claim = CraftedZip.Member.deflated("model.weights.h5", [UInt8](repeating: 0, count: 100))
        claim.size = 3 << 30
        var path = try scratch.write(CraftedZip([metadata, configuration, claim]).bytes, to: "claim.keras")
        try expect(Case("zip bomb", "inspect", path, 65, "zip-bomb"), path)

        // A document of 3 GiB.
        var document = CraftedZip.Member.deflated("config.json", Array("{}".utf8))
        document.size = 3 << 30
        path = try scratch.write(CraftedZip([metadata, document, CraftedZip.Member("model.weights.h5")]).bytes, to: "document.keras")
        try expect(Case("large document", "inspect", path, 65, "zip-bomb"), path)

        // 8 MiB that claim to be 1000 bytes: no more than those are taken out.
        var liar = CraftedZip.Member.deflated("model.weights.h5", [UInt8](repeating: 0, count: 8 << 20))
        liar.size = 1_000
        path = try scratch.write(CraftedZip([metadata, configuration, liar]).bytes, to: "liar.keras")
        try expect(Case("zip bomb that lies", "inspect", path, 65, "zip-bomb"), path)

        // The same bytes twice.
        path = try scratch.write(try overlapping(), to: "overlap.keras")
        try expect(Case("members that overlap", "inspect", path, 65, "zip-overlap"), path)
    }

    /// A member inside the bytes of another one.
    private func overlapping() throws -> [UInt8] {
        let inner = CraftedZip.Member("config.json", Array("{}".utf8))
        let outer = CraftedZip.Member("metadata.json", CraftedZip([inner]).bytes)
        var hidden = inner
        hidden.offset = UInt32(30 + outer.name.count)
        return CraftedZip([outer, hidden]).bytes
    }

    /// Classes and functions of the user's own, named by module: nothing is imported, the layer is refused by name.
    @Test(arguments: [
        ("os", "system", "evil>system", "linear", "system"), ("my.models", "Dense", "mine>Dense", "linear", "Dense"),
        ("keras.layers", "Dense", "", "eval", "eval"),
    ]) func customObjects(module: String, className: String, registered: String, activation: String, words: String) throws {
        let scratch = try TemporaryDirectory()
        let function: JSONValue = [
            "module": "builtins", "class_name": "function", "config": .string(activation), "registered_name": "function",
        ]
        let layer: JSONValue = [
            "module": .string(module), "class_name": .string(className),
            "registered_name": registered.isEmpty ? .null : .string(registered),
            "config": ["name": "shell", "units": 2, "activation": activation == "linear" ? "linear" : function],
        ]
        let input: JSONValue = [
            "module": "keras.layers", "class_name": "InputLayer", "registered_name": .null,
            "config": ["batch_shape": [.null, 3], "dtype": "float32", "name": "x"],
        ]
        let document: JSONValue = [
            "module": "keras", "class_name": "Sequential", "registered_name": .null, "config": ["name": "s", "layers": [input, layer]],
        ]
        let source = Fixtures.path("keras3/keras3_functional_small.weights.h5")
        let weights = try scratch.write(try ByteRegion(path: source).bytes(), to: "m.weights.h5")
        _ = try scratch.write(Array(document.serialized(.python).utf8), to: "m.json")
        let result = try Tool.run(["run", weights], memory: Self.memory)
        #expect(result.code == 69, "\(result.errorText)")
        #expect(result.errorText.contains("'shell'") && result.errorText.contains(words), "\(result.errorText)")
    }
}
