import ByteIO

extension Workload {
    /// Workloads of any size, as `--shape` spells them: a model, a colon, batch (if it isn't 1) and length.
    ///
    /// Models: `bert-base`, `gpt2`, `t5-small`; of other widths `bert-LAYERS-WIDTH-HEADS-INNER`, `gpt2-LAYERS-WIDTH-HEADS`,
    /// `t5-LAYERS-WIDTH-HEADS-INNER`; `lstm-FEATURES-UNITS-LAYERS`, `gru-...`, `rnn-...`, with `bi` before for both directions.
    /// - Throws: `InputError` for anything else.
    static func named(_ text: String) throws -> [Workload] {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let words = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let (batch, length, decoder) = sizes(parts[1]), let kind = words.first.map(String.init) else {
            throw InputError("'\(text)' isn't a shape: expected such as bert-base:8x200, t5-small:77+20 or lstm-97-301-2:7x90")
        }
        let numbers = words.dropFirst().compactMap { Int($0) }.filter { $0 > 0 }
        let isPlain = numbers.count == words.count - 1
        let (isBoth, cell) = kind.hasPrefix("bi") ? (true, String(kind.dropFirst(2))) : (false, kind)
        let name = String(parts[0])
        switch (parts[0], cell, numbers.count) {
        case ("bert-base", _, _): return Self.text(.bertBase, 30_522, batch: batch, tokens: length)
        case ("gpt2", _, _): return Self.text(.gpt2Small, 50_257, batch: batch, tokens: length)
        case ("t5-small", _, _): return Self.text(.t5Small, 32_128, batch: batch, tokens: length, decoder: decoder ?? length)
        case (_, "bert", 4) where isPlain && !isBoth:
            let model = BenchModel.bert(name, layers: numbers[0], width: numbers[1], heads: numbers[2], inner: numbers[3])
            return Self.text(model, 30_522, batch: batch, tokens: length)
        case (_, "gpt2", 3) where isPlain && !isBoth:
            let model = BenchModel.gpt2(name, layers: numbers[0], width: numbers[1], heads: numbers[2])
            return Self.text(model, 50_257, batch: batch, tokens: length)
        case (_, "t5", 4) where isPlain && !isBoth:
            let model = BenchModel.t5(name, layers: numbers[0], width: numbers[1], heads: numbers[2], inner: numbers[3], vocabulary: 32_128)
            return Self.text(model, 32_128, batch: batch, tokens: length, decoder: decoder ?? length)
        case (_, "lstm", 3) where isPlain, (_, "gru", 3) where isPlain, (_, "rnn", 3) where isPlain:
            let gates = cell == "lstm" ? 4 : cell == "gru" ? 3 : 1
            let model = BenchModel.recurrent(
                name, gates: gates, layers: numbers[2], features: numbers[0], units: numbers[1], isBidirectional: isBoth)
            return steps(model, numbers[0], [(batch, length)])
        default: throw InputError("'\(text)': no model is called \(parts[0])")
        }
    }

    /// `8x200`, `200`, `8x77+20`.
    private static func sizes(_ text: Substring) -> (batch: Int, length: Int, decoder: Int?)? {
        let sides = text.split(separator: "+", omittingEmptySubsequences: false)
        let numbers = sides[0].split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        let decoder = sides.count == 2 ? Int(sides[1]) ?? 0 : nil
        guard sides.count <= 2, (1...2).contains(numbers.count), numbers.allSatisfy({ $0 > 0 }), decoder ?? 1 > 0 else { return nil }
        return (numbers.count == 2 ? numbers[0] : 1, numbers.last ?? 1, decoder)
    }
}
