extension Workload {
    /// Lengths, batches and widths besides those that targets name, few of them multiples of a block: so that none of these falls behind.
    static var more: [Workload] { moreTransformers + moreRecurrent }

    private static var moreTransformers: [Workload] {
        let lengths: [(batch: Int, tokens: Int)] = [(1, 37), (1, 100), (1, 200), (1, 384), (3, 50), (8, 64)]
        let pairs: [(batch: Int, tokens: Int, decoder: Int)] = [
            (1, 37, 11), (1, 100, 50), (1, 200, 1), (1, 384, 64), (2, 77, 20), (8, 50, 16),
        ]
        var workloads: [Workload] = []
        for (batch, tokens) in lengths { workloads += text(.bertBase, 30_522, batch: batch, tokens: tokens) }
        for (batch, tokens) in lengths { workloads += text(.gpt2Small, 50_257, batch: batch, tokens: tokens) }
        for (batch, tokens, decoder) in pairs { workloads += text(.t5Small, 32_128, batch: batch, tokens: tokens, decoder: decoder) }
        return workloads
    }

    private static var moreRecurrent: [Workload] {
        let sizes: [(features: Int, units: Int, batch: Int, time: Int)] = [
            (300, 500, 1, 100), (300, 300, 1, 200), (64, 130, 1, 300), (300, 500, 3, 77), (64, 130, 7, 100), (120, 300, 16, 60),
            (300, 500, 50, 40),
        ]
        var workloads: [Workload] = []
        for (name, gates) in [("lstm", 4), ("gru", 3), ("rnn", 1)] {
            for (features, units, batch, time) in sizes {
                let model = BenchModel.recurrent("\(name)-\(features)-\(units)", gates: gates, layers: 2, features: features, units: units)
                workloads += steps(model, features, [(batch, time)])
            }
        }
        return workloads
    }
}
