import ByteIO
import FormatKit
import JSON
import PyTorchFormat
import TestSupport
import Testing

@Suite("PyTorch: bad files")
struct RuleTests {
    static let rows = ((try? FixtureFiles.rows("invalid/manifest.json")) ?? []).filter {
        $0["format"]?.string == "pytorch" && $0["rule"]?.string != "unknown-format"
    }

    @Test func everyRuleHasAFile() {
        let rules = Set(Self.rows.compactMap { $0["constraint"]?.string })
        // P1 is the archive's, tested there; the files that nothing recognises are left to the contract tests.
        #expect(rules == Set((2...14).map { "P\($0)" } + [""]))
        #expect(Self.rows.count > 140)
    }

    @Test("each is refused by its code and rule", arguments: rows)
    func isRefused(row: JSONObject) throws {
        let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
        #expect(PyTorchFormat.matches(ByteRegion(bytes: bytes)))
        let error = try #require(try errorOfReading(bytes))
        #expect(error.code.rawValue == row["rule"]?.string, "\(error)")
        #expect(error.rule == row["constraint"]?.string, "\(error)")
        #expect(!error.description.contains("\n") && !error.description.contains("\u{1B}"))
        #expect(error.description.count < 400)
    }

    @Test func globalsAreNamed() throws {
        let names = ["global_os_system_2": "posix.system", "global_eval_4": "builtins.eval", "global_dotted": "torch.Size.__class__"]
        for (file, name) in names {
            #expect(try errorOfReading(try FixtureFiles.bytes("invalid/pytorch/\(file).pt"))?.found == name)
        }
        let module = #expect(throws: UnsupportedError.self) { try open(try FixtureFiles.bytes("invalid/pytorch/module_zip.pt")) }
        #expect(module?.description.contains("torch.save(model)") == true)
        #expect(module?.description.contains("torch.nn.modules.container.Sequential") == true)
    }

    @Test("no opcode of one or two bytes traps, on any small stack")
    func everyOpcode() throws {
        // None, a number, text, a mark, an empty tuple, list, dictionary and set, a global.
        let beginnings: [[UInt8]] = [
            [], Array("N".utf8), Array("K\u{1}".utf8), Array("U\u{1}a".utf8), Array("(".utf8), Array(")".utf8), Array("]".utf8),
            Array("}".utf8),
            [0x8F], Array("ctorch\nSize\n".utf8), Array("ctorch\nSize\n)".utf8), Array("NN".utf8), Array("}NN".utf8), Array("](N".utf8),
            Array("}(NN".utf8),
        ]
        for beginning in beginnings {
            for opcode in 0...255 as ClosedRange<UInt8> {
                for argument in [
                    [], [0], [1], [0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0x80], [UInt8](repeating: 0xFF, count: 8), [0x0A, 0x0A],
                ] as [[UInt8]] {
                    _ = try errorOfReading(archive([0x80, 2] + beginning + [opcode] + argument + [0x2E]))
                }
            }
        }
    }

    @Test("random programs of good and strange instructions never trap")
    func randomPrograms() throws {
        let parts: [[UInt8]] = [
            Array("N".utf8), Array("(".utf8), Array("t".utf8), Array(")".utf8), Array("]".utf8), Array("}".utf8), Array("a".utf8),
            Array("e".utf8),
            Array("s".utf8), Array("u".utf8), Array("0".utf8), Array("1".utf8), Array("2".utf8), Array("R".utf8), Array("b".utf8),
            Array("Q".utf8),
            [0x81], [0x85], [0x86], [0x87], [0x8F], [0x90], [0x91], [0x93], [0x94], Array("q\u{0}".utf8), Array("h\u{0}".utf8),
            Array("h\u{1}".utf8),
            Array("K\u{3}".utf8), Array("U\u{1}0".utf8), Array("U\u{7}storage".utf8), Array("U\u{3}cpu".utf8),
            [0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0],
            Array("J".utf8) + [0, 0, 0, 0x80], Array("ctorch\nFloatStorage\n".utf8), Array("ccollections\nOrderedDict\n".utf8),
            Array("ctorch._utils\n_rebuild_tensor_v2\n".utf8), Array("ctorch._utils\n_rebuild_tensor\n".utf8), Array("ctorch\nSize\n".utf8),
            Array("cnumpy\ndtype\n".utf8), Array("cnumpy.core.multiarray\nscalar\n".utf8), Array("c_codecs\nencode\n".utf8),
            Array("cbuiltins\nset\n".utf8), Array("U\u{2}f8".utf8),
            Array("(U\u{7}storagectorch\nFloatStorage\nU\u{1}0U\u{3}cpuK\u{2}tQ".utf8),
            Array("K\u{0}K\u{2}\u{85}K\u{1}\u{85}\u{89}N".unicodeScalars.map { UInt8($0.value) }),
        ]
        for seed in 0..<60_000 as Range<UInt64> {
            var numbers = SplitMix(seed: seed)
            let count = Int.random(in: 1...30, using: &numbers)
            let program = (0..<count).flatMap { _ in parts.randomElement(using: &numbers) ?? [] }
            _ = try errorOfReading(archive([0x80, 2] + program + [0x2E], [[0, 0, 128, 63, 0, 0, 0, 64]]))
        }
    }

    @Test("copying by calls costs what it copies")
    func copyingIsLimited() throws {
        // A list of pairs, made a dictionary over and over.
        var program: [UInt8] = [0x80, 2] + Array("](".utf8)
        for _ in 0..<1_000 { program += Array("K\u{1}K\u{2}".utf8) + [0x86] }
        program += Array("e".utf8) + [0x85] + Array("q\u{0}0".utf8)
        for _ in 0..<20_000 { program += Array("ccollections\nOrderedDict\nh\u{0}R0".utf8) }
        program += Array("N.".utf8)
        #expect(try errorOfReading(archive(program))?.code == "too-large")
    }

    @Test(
        "damage never traps", arguments: ["state_dict_zip.pt", "training_stack.pt", "views_stack.pt", "protocol_4_zip.pt", "numbers_4.pt"])
    func damage(name: String) throws {
        let bytes = try FixtureFiles.bytes("pytorch/\(name)")
        for seed in 0..<4_000 as Range<UInt64> {
            let part = damaged(bytes, seed: seed)
            _ = PyTorchFormat.matches(ByteRegion(bytes: part))
            _ = try errorOfReading(part)
        }
    }

    /// Where the archive's checksum would find them first.
    @Test func damageToThePickleNeverTraps() throws {
        let bytes = try FixtureFiles.bytes("pytorch/training_stack.pt")
        let end = min(bytes.count, 2_000)
        for seed in 0..<20_000 as Range<UInt64> {
            let part = damaged(Array(bytes[..<end]), seed: seed) + bytes[end...]
            _ = try errorOfReading(part)
        }
    }

    @Test func everyTruncationIsRefused() throws {
        for name in ["by_hand.pt", "tensor_zip.pt", "nested_stack.pt"] {
            let bytes = try FixtureFiles.bytes("pytorch/\(name)")
            for count in 0..<bytes.count { #expect(try errorOfReading(Array(bytes[..<count])) != nil, "\(count) bytes of \(name)") }
        }
    }

    @Test func limits() throws {
        let bytes = try FixtureFiles.bytes("pytorch/training_stack.pt")
        for change in [{ $0.objectCount = 3 }, { $0.nameByteCount = 6 }, { $0.rank = 1 }, { $0.depth = 2 }, { $0.documentByteCount = 300 }]
            as [(inout Limits) -> Void]
        {
            var limits = Limits()
            change(&limits)
            #expect(try errorOfReading(bytes, limits: limits)?.rule == "P6")
        }
    }

    @Test func detection() throws {
        func matches(_ members: [CraftedZip.Member]) -> Bool { PyTorchFormat.matches(ByteRegion(bytes: CraftedZip(members).bytes)) }
        #expect(matches([.init("a/data.pkl")]))
        #expect(matches([.init("a/version"), .init("a/data.pkl")]))
        #expect(!matches([.init("data.pkl")]))
        #expect(!matches([.init("a/b/data.pkl")]))
        #expect(!matches([.init("a/data.pkl"), .init("config.json"), .init("model.weights.h5")]))
        #expect(!matches([.init("a/data.pkl"), .init("metadata.json")]))
        let bytes = CraftedZip([.init("archive/data.pkl", [0x4E, 0x2E])]).bytes
        #expect(PyTorchFormat.matches(ByteRegion(bytes: Array(bytes.prefix(60)))))
        #expect(!PyTorchFormat.matches(ByteRegion(bytes: [0x80, 2, 0x4E, 0x2E])))
        #expect(!PyTorchFormat.matches(ByteRegion(bytes: [0x80])))
    }
}
