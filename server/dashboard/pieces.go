package dashboard

// pieces are the parts of a text between which a line may break: behind each @, and each dot that a letter follows.
func pieces(text string) (parts []string) {
	start := 0
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '@' || text[i] == '.' && text[i+1] != ' ' {
			parts, start = append(parts, text[start:i+1]), i+1
		}
	}
	return append(parts, text[start:])
}
