import Conversion
import ModelIR

/// An inspection for people.
struct InspectionText {
    let inspection: Inspection
    let matches: (String) -> Bool

    init(_ inspection: Inspection, matches: @escaping (String) -> Bool) {
        self.inspection = inspection
        self.matches = matches
    }

    func summary() {
        let i = inspection
        var head = [["file", "\(i.path) (\(byteText(i.fileByteCount)))"], ["format", i.formatDetail.isEmpty ? i.format : i.formatDetail]]
        head.append(["model", i.architecture.map { "\($0), \(i.naming ?? "")" } ?? "not recognised: a plain set of tensors"])
        if let writer = i.writer { head.append(["written by", writer]) }
        for input in i.inputs { head.append(["input", "\(input.name): \(input.type)"]) }
        for output in i.outputs { head.append(["output", "\(output.name): \(output.type)"]) }
        let dtypes = i.dtypes.map { "\(grouped($0.count)) \($0.dtype.rawValue)" }.joined(separator: ", ")
        head.append([
            "parameters", "\(grouped(i.parameterCount)) (\(byteText(i.parameterByteCount)))" + (i.dtypes.isEmpty ? "" : ": \(dtypes)"),
        ])
        if i.optimizerTensorCount > 0 {
            head.append(["optimizer", "\(i.optimizerTensorCount) tensors (\(byteText(i.optimizerByteCount))), apart from the parameters"])
        }
        head.append(["fingerprint", i.fingerprint ?? "not computed, since it takes reading the whole file; --fingerprint does"])
        if i.hasProof { head.append(["proof", "carried by the file; ingot verify runs it"]) }
        for line in i.provenance { head.append([line.key, line.value]) }
        TextTable(rows: head).lines.forEach(Terminal.output)

        if !i.layers.isEmpty {
            var rows = [["layer", "class", "output", "parameters", "bytes"]]
            var lengths = NamedLengths()
            for layer in i.layers where matches(layer.name) {
                rows.append([
                    layer.name, layer.kind + (layer.isSupported ? "" : " (can't be run)"), layer.output.map { lengths.text($0) } ?? "-",
                    grouped(layer.elementCount), byteText(layer.byteCount),
                ])
            }
            Terminal.output("")
            TextTable(rows: rows, rightAligned: [3, 4]).lines.forEach(Terminal.output)
            list("length", lengths.names.map { "\($0.name) = \($0.text)" })
        }
        attention()
        list("can't be run", i.obstacles)
        list("assumed", i.assumptions)
        list("configuration keys that Ingot doesn't know (assumed inert)", i.unknownKeys)
        list("tensors that no layer asks for", i.unused)
        list("objects that are no tensors", i.opaque)
        list("note", i.notes)
    }

    private func attention() {
        for (outline, layers) in inspection.attentionGroups {
            let shown = layers.filter(matches)
            guard let first = shown.first, let last = shown.last else { continue }
            Terminal.output("")
            Terminal.output(shown.count < 2 ? "attention in \(first)" : "attention in \(shown.count) layers, \(first) to \(last)")
            let isByHeads = outline.pictures.count > 1
            Terminal.output("  " + (isByHeads ? "" : "\(heads(outline.heads)): ") + outline.words)
            let share = Double(outline.pairs) / Double(max(outline.allPairs, 1)) * 100
            Terminal.output(
                "  for \(outline.tokens) tokens \(grouped(outline.pairs)) of \(grouped(outline.allPairs)) pairs, \(shortNumber(share)) %"
                    + (outline.assumption.isEmpty ? "" : " (\(outline.assumption))"))
            // Drawings of several groups of heads stand side by side.
            let titles = outline.pictures.map { outline.pictures.count > 1 ? heads($0.heads) : "" }
            if outline.pictures.count > 1 { Terminal.output("  " + columns(titles)) }
            for row in 0..<(outline.pictures.map(\.rows.count).max() ?? 0) {
                Terminal.output("  " + columns(outline.pictures.map { row < $0.rows.count ? $0.rows[row] : "" }))
            }
        }
    }

    private func heads(_ count: Int) -> String { "\(count) \(count == 1 ? "head" : "heads")" }

    private func columns(_ texts: [String]) -> String {
        texts.enumerated().map { i, text in i + 1 < texts.count ? text + String(repeating: " ", count: max(1, 20 - text.count)) : text }
            .joined()
    }

    func tensors() {
        let hasStatistics = inspection.tensors.contains { $0.statistics != nil }
        var rows = [["tensor", "dtype", "shape", "bytes"] + (hasStatistics ? ["minimum", "maximum", "mean", "std", "non-finite"] : [])]
        for tensor in inspection.tensors where matches(tensor.name) {
            var row = [
                tensor.name, tensor.dtype.rawValue, "[\(tensor.shape.map(String.init).joined(separator: ", "))]",
                byteText(tensor.byteCount),
            ]
            if let s = tensor.statistics {
                row += [s.minimum, s.maximum, s.mean, s.standardDeviation].map(shortNumber) + ["\(s.nonFiniteCount)"]
            }
            rows.append(row)
        }
        Terminal.output("")
        TextTable(rows: rows, rightAligned: [3, 4, 5, 6, 7, 8]).lines.forEach(Terminal.output)
    }

    private func list(_ title: String, _ lines: [String]) {
        guard !lines.isEmpty else { return }
        Terminal.output("")
        for line in lines { Terminal.output("\(title): \(line)") }
    }
}

/// Names for sizes whose expression would fill a table's column.
private struct NamedLengths {
    private(set) var names: [(name: String, text: String)] = []

    private static let longest = 24

    mutating func text(_ type: ValueType) -> String {
        let dims = type.shape.dims.map { dim in
            // No symbol is negative.
            if case .maximum(.symbol(let symbol), ...0) = dim { return Dim.symbol(symbol).description }
            let text = dim.description
            guard text.count > Self.longest else { return text }
            if let known = names.first(where: { $0.text == text }) { return known.name }
            names.append(("n\(names.count + 1)", text))
            return "n\(names.count)"
        }
        return "\(type.dtype.rawValue)[\(dims.joined(separator: ", "))]"
    }
}

/// A shell pattern: `*` is any run of characters, slashes too; `?` is one.
struct Glob {
    private let pattern: [Character]

    init(_ pattern: String) { self.pattern = Array(pattern) }

    func matches(_ name: String) -> Bool {
        let text = Array(name)
        var (p, t) = (0, 0)
        var retry: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == "*" {
                retry = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = retry {
                // The star takes one character more.
                retry = (last.pattern, last.text + 1)
                p = last.pattern + 1
                t = last.text + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }
}
