import ByteIO
import Containers
import FormatKit
import Glibc
import IngotFormat
import JSON
import ModelIR
import PyTorchFormat
import SafetensorsFormat

/// A parser of Ingot's own, as libFuzzer drives it: any bytes, an answer or a typed error.
private enum Parser: String {
    case json, npy, zip, graph, ingot, safetensors, pytorch

    /// The one that the environment variable `FUZZ_PARSER` names.
    static let chosen: Parser = {
        guard let name = getenv("FUZZ_PARSER"), let parser = Parser(rawValue: String(cString: name)) else {
            let message = Array("FUZZ_PARSER is one of json, npy, zip, graph, ingot, safetensors, pytorch\n".utf8)
            _ = message.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            exit(EX_USAGE)
        }
        return parser
    }()

    func parse(_ bytes: [UInt8]) throws {
        let region = ByteRegion(bytes: bytes)
        switch self {
        case .json:
            // What was read is written, and reads back as the same.
            let text = try JSONValue.parse(bytes).serialized()
            guard try JSONValue.parse(text).serialized() == text else { abort() }
        case .npy: _ = try NumPyArray.read(region, limits: Limits()).bytes()
        case .zip:
            let archive = try ZipArchive(region)
            for entry in archive.entries { try archive.verify(entry) }
            _ = try? NPZArchive.read(region)
        case .graph:
            let graph = try Graph.parse(String(decoding: bytes, as: UTF8.self))
            guard try Graph.parse(graph.text).text == graph.text else { abort() }
        case .ingot: try read(IngotFormat.self, region)
        case .safetensors: try read(SafetensorsFormat.self, region)
        case .pytorch: try read(PyTorchFormat.self, region)
        }
    }

    private func read(_ format: any ModelFormat.Type, _ region: ByteRegion) throws {
        guard format.matches(region) else { return }
        let checkpoint = try format.open(region, limits: Limits())
        for entry in checkpoint.tensors { try entry.tensor.forEachPiece { _ in } }
        _ = try format.check(region, limits: Limits())
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    try? Parser.chosen.parse(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}

/// The package manager names the main function of an executable after its module, and libFuzzer's own is left out.
@_cdecl("ingot_fuzz_parsers_main")
public func fuzzMain(_ argumentCount: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    var (count, list) = (argumentCount, arguments)
    return runDriver(&count, &list) { fuzzOneInput($0, $1) }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
