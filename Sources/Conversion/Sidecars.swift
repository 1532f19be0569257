import ByteIO
import FormatKit
import JSON

/// Files beside a model's weights that belong to it: tokenizers and generation settings, by a list of names. Never code, never pickles.
struct Sidecars {
    static let names: Set<String> = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
        "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "bpe.codes", "generation_config.json",
        "preprocessor_config.json", "chat_template.jinja", "chat_template.json",
    ]

    private var documents: [Checkpoint.Document] = []

    /// - Parameters:
    ///   - path: the MODEL of the command line; only a directory has sidecars.
    ///   - isWanted: whether the output has a place for them.
    init(beside path: String, isWanted: Bool) throws {
        guard isWanted, isExistingDirectory(path) else { return }
        for name in try directoryEntries(path) where Self.names.contains(name) {
            documents.append(.init(name: name, bytes: try ByteRegion(path: "\(path)/\(name)").bytes()))
        }
    }

    /// Adds them to what is written, without the key that makes loaders run code from elsewhere.
    func add(to checkpoint: inout Checkpoint, notes: inout [String]) {
        let known = Set(checkpoint.documents.map(\.name))
        checkpoint.documents += documents.filter { !known.contains($0.name) }
        for (position, document) in checkpoint.documents.enumerated() where document.name.hasSuffix("config.json") {
            guard var object = (try? JSONValue.parse(document.bytes))?.object, object["auto_map"] != nil else { continue }
            object["auto_map"] = nil
            checkpoint.documents[position].bytes = Array(JSONValue.object(object).serialized(.pretty).utf8)
            notes.append("auto_map is removed from \(document.name): it names code to run")
        }
    }
}
