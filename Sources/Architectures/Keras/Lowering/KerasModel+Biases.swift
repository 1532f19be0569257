import ModelIR

/// Biases of LSTM and simple RNN in pairs: cuDNN and PyTorch keep one for the inputs and one for the states, Keras keeps their sum.
extension KerasModel {
    private var pairsOfBiases: Set<String> {
        let shapes = Dictionary(parameters.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first })
        let rows = instances.filter { $0.obstacles.isEmpty }.flatMap(\.variables)
        return Set(rows.filter { row in shapes[row.name].map { KerasStoredWeights.isPairOfBiases($0, row) } ?? false }.map(\.name))
    }

    var hasPairsOfBiases: Bool { !pairsOfBiases.isEmpty }

    /// Replaces each pair by its sum.
    /// - Returns: the declared changes.
    mutating func sumPairsOfBiases() -> [Rewrite] {
        let names = pairsOfBiases
        var rewrites: [Rewrite] = []
        for i in parameters.indices where names.contains(parameters[i].name) {
            let name = parameters[i].name
            let rewrite = Rewrite(parameter: name, description: "\(name): the two biases, of inputs and states, added into one") { tensor in
                let values = try tensor.doubles()
                let half = values.count / 2
                return Tensor((0..<half).map { values[$0] + values[half + $0] }, dtype: tensor.dtype, shape: [half])
            }
            rewrites.append(rewrite)
            // The shape is all that the graph asks for.
            let tensor = parameters[i].tensor
            parameters[i].tensor = tensor.elements(from: 0, shape: [tensor.count / 2])
        }
        return rewrites
    }
}

extension Rewrite {
    /// One rewrite a parameter: several of one parameter one after the other.
    static func inOrder(_ rewrites: [Rewrite]) -> [Rewrite] {
        var result: [Rewrite] = []
        var places: [String: Int] = [:]
        for rewrite in rewrites {
            guard let place = places[rewrite.parameter] else {
                places[rewrite.parameter] = result.count
                result.append(rewrite)
                continue
            }
            let first = result[place].apply
            result[place].description += "; " + (rewrite.description.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? "")
            result[place].apply = { try rewrite.apply(first($0)) }
        }
        return result
    }
}
