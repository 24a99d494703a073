"""What other libraries call an embedding model, a vector store, a retriever: a file for each of them."""
